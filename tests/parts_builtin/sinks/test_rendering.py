from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from stagerunner_parts.sinks.rendering import json_lines, json_text, text_lines


class Numbers:
    def tolist(self):
        return [1, 2]


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"a": Decimal("12.50")}, '{"a":12.50}'),
        (Path("a/b"), '"a/b"'),
        (datetime(2026, 5, 12, tzinfo=UTC), '"2026-05-12T00:00:00Z"'),
        (Numbers(), "[1,2]"),
        (2**70, str(2**70)),
        ("two\nlines", r'"two\nlines"'),
        ("NaN", '"NaN"'),
        ("No Infinity In Name", '"No Infinity In Name"'),
    ],
)
def test_json(record, text):
    assert json_text(record) == text.encode()
    assert json_lines([record, record]) == (text + "\n").encode() * 2


class Text(str):
    """Marked as something."""


class Exact(datetime):
    """A time of a library that knows nanoseconds."""

    def isoformat(self):
        return "2026-05-12T00:00:00.000000001"


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: object


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Text("a"), '"a"'),
        (Exact(2026, 5, 12), '"2026-05-12T00:00:00.000000001"'),
        (Colour.RED, '"red"'),
        (Point([1, None]), '{"x":[1,null]}'),
        (Counter("aa"), '{"a":2}'),
        ((1, (2,)), "[1,[2]]"),
        (b"ab", '"YWI="'),
        (timedelta(days=1), '"P1D"'),
        ({"null": [None, "null", 1.5, {}]}, '{"null":[null,"null",1.5,{}]}'),
        (np.datetime64("2026-05-12T00:00:00.123456789"), '"2026-05-12T00:00:00.123456789"'),
        (np.array(["2026-05-12"], "M8[D]"), '["2026-05-12"]'),
        (np.array([1.5, 2]), "[1.5,2.0]"),
    ],
)
def test_what_stands_for_something_that_json_has(record, text):
    assert json_text(record) == text.encode()
    assert json_lines([{"a": record}]) == b'{"a":' + text.encode() + b"}\n"


@pytest.mark.parametrize(
    "record",
    [
        *(nan, inf, -inf, [[nan]], {"a": {"b": (1, None, nan)}}, Point(nan), Point({1}), np.float64("nan")),
        *(np.array([1, nan]), {1, 2}, frozenset(), [{"a": {1}}], {1: 2}, {1: 1, "1": 2}, [{"a": {None: 1}}]),
        *({b"x": 1}, {Colour.RED: 1}, np.timedelta64(5, "ns"), np.datetime64("NaT", "s"), np.longdouble(1), 1j),
    ],
)
def test_what_would_be_altered_is_refused(record):
    with pytest.raises((TypeError, ValueError)):
        json_text(record)
    with pytest.raises((TypeError, ValueError)):
        json_lines([{"a": None, "b": "null"}, {"a": record}])


@pytest.mark.parametrize("record", [object(), "\ud800", Decimal("NaN"), [Decimal("-Infinity")]])
def test_what_cannot_be_written(record):
    with pytest.raises((TypeError, ValueError)):
        json_text(record)
    with pytest.raises((TypeError, ValueError)):
        json_lines(["fine", record])


def test_text_as_it_is_and_everything_else_as_json():
    assert text_lines(["ä", "two\nlines"]) == "ä\ntwo\nlines\n".encode()
    assert text_lines(["a", {"b": 1}, 5]) == b'a\n{"b":1}\n5\n'
    assert text_lines([]) == b""


def test_a_text_that_cannot_be_written():
    with pytest.raises(UnicodeEncodeError):
        text_lines(["\ud800"])
