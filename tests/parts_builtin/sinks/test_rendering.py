from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

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
