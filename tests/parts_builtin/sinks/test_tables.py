from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
import pytest

from stagerunner_parts.sinks.tables import cell_text


class Colour(Enum):
    RED = "red"
    NONE = None


class Rank(IntEnum):
    FIRST = 1


class Shouted(str):
    def __str__(self) -> str:
        return self.upper()


class Padded(int):
    def __repr__(self) -> str:
        return f"{int(self):05}"


@dataclass
class Point:
    x: int
    y: float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ('"quoted"', '"quoted"'),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (-7, "-7"),
        (10**30, "1" + "0" * 30),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (-0.0, "-0.0"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 5, 12), "2026-05-12"),
        (datetime(2026, 5, 12, 1, 2, 3, tzinfo=UTC), "2026-05-12T01:02:03+00:00"),
        (time(1, 2), "01:02:00"),
        (Colour.RED, "red"),
        (Rank.FIRST, "1"),
    ],
)
def test_a_plain_value_is_written_as_it_is(value, text):
    assert cell_text(value) == text


@pytest.mark.parametrize(("value", "text"), [(Shouted("a"), "a"), (Padded(7), "7"), (np.float64(1.5), "1.5")])
def test_what_a_value_holds_is_written_and_not_what_its_own_methods_make_of_it(value, text):
    assert cell_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ([], "[]"),
        ((1, "a"), '[1,"a"]'),
        (Point(1, 2.5), '{"x":1,"y":2.5}'),
        (np.array([1, 2]), "[1,2]"),
        (None, "null"),
        (Colour.NONE, "null"),
    ],
)
def test_anything_else_is_written_as_json(value, text):
    assert cell_text(value) == text


def test_what_is_one_text_in_json_needs_no_quotes_in_a_cell():
    number = UUID("12345678123456781234567812345678")
    assert cell_text(number) == str(number)
    assert cell_text(PurePosixPath("a/b")) == "a/b"
    assert cell_text(PurePosixPath('a"b')) == '"a\\"b"', "where JSON had to escape, its quotes tell that"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "nan is not a finite number"),
        (float("-inf"), "-inf is not a finite"),
        (Decimal("NaN"), "NaN is not a finite"),
        (np.float64("inf"), "inf is not a finite"),
        ([float("nan")], "JSON has no nan"),
        ({1, 2}, "JSON has no sets"),
        ({1: 2}, "a name in JSON must be text"),
        (b"x", "bytes are not text: decode them, or encode them in base64"),
        (bytearray(b"x"), "bytes are not text"),
        (memoryview(b"x"), "bytes are not text"),
        (object(), "object"),
    ],
)
def test_what_a_cell_can_not_hold_is_refused_and_never_altered(value, told):
    with pytest.raises((TypeError, ValueError), match=told):
        cell_text(value)
