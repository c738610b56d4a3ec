from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest

from stagerunner_parts.sinks.rows import packed, unpacked


class Word(str, Enum):  # noqa: UP042  (its own text is another one)
    ONE = "one"


def test_rows_that_share_their_columns_are_together():
    records = [{"a": 1, "b": 2}, {"a": 3, "b": 4}, {"b": 5}]
    assert list(unpacked(packed(records))) == [(("a", "b"), [(1, 2), (3, 4)]), (("b",), [(5,)])]
    assert next(iter(unpacked(packed(records[:1]) + packed(records[1:])))) == (("a", "b"), [(1, 2)])
    assert list(unpacked(packed([]))) == []


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, 1),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        ("ä", "ä"),
        (b"x", b"x"),
        (datetime(2026, 5, 12, tzinfo=UTC), "2026-05-12T00:00:00+00:00"),
        (Decimal("1.50"), "1.50"),
        (Path("a"), "a"),
        ({"a": [1, Decimal(2)]}, '{"a":[1,2]}'),
        (float("inf"), float("inf")),
        (Word.ONE, "one"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_are_plain(value, stored):
    ((_, [(found,)]),) = unpacked(packed([{"a": value}]))
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("text", "a row needs a mapping"),
        ({}, "a row needs a mapping with fields"),
        ({5: 1}, "name of a column"),
        ({"a\0": 1}, "name of a column"),
        ({"\ud800": 1}, "name of a column"),
        ({"a": 1, "A": 2}, "differ only in case"),
        ({"a": 2**63}, "can't be stored"),
        ({"a": object()}, "can't be written"),
        ({"a": "\ud800"}, "can't be stored"),
        ({"a": "a\0b"}, "can't be stored"),
        ({"a": float("nan")}, "become null"),
        ({"a": [float("nan")]}, "JSON has no nan"),
        ({"a": {"1": 1, 1: 2}}, "a name in JSON must be text"),
        ({"a": Decimal("NaN")}, "not a finite number"),
    ],
)
def test_what_is_refused(record, why):
    with pytest.raises((ValueError, TypeError), match=why):
        packed([record])
