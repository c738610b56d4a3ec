from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from stagerunner_parts.sinks.rows import packed, unpacked


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
        ({"a": [1, Decimal(2)]}, '{"a": [1, "2"]}'),
    ],
)
def test_values_are_plain(value, stored):
    ((_, [(found,)]),) = unpacked(packed([{"a": value}]))
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("text", "made from a mapping"),
        ({}, "made from a mapping with fields"),
        ({5: 1}, "name of a column"),
        ({"a\0": 1}, "name of a column"),
        ({"\ud800": 1}, "name of a column"),
        ({"a": 1, "A": 2}, "differ only in case"),
        ({"a": 2**63}, "can't be stored"),
        ({"a": object()}, "can't be stored"),
        ({"a": "\ud800"}, "can't be stored"),
    ],
)
def test_what_is_refused(record, why):
    with pytest.raises(ValueError, match=why):
        packed([record])
