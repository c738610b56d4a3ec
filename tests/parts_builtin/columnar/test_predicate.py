"""Conditions on columns, for rows and for row groups of which only the range of values is known."""

import datetime as dt

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner_parts.columnar.predicate import Predicate

SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.string()), ("day", pa.date32())])


def rows(text, **columns):
    """The indexes of the rows for which it holds."""
    batch = pa.RecordBatch.from_pydict(columns)
    kept, indexes = Predicate(text).apply(batch)
    assert kept.equals(batch.take(indexes))
    return indexes.to_pylist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n >= 3", [3, 4]),
        ("3 <= n", [3, 4]),
        ("1 < n < 4", [2, 3]),
        ("n in [0, 4]", [0, 4]),
        ("n == 1 or n != 1 and n > 3", [1, 4]),
        ("n == -1", []),
    ],
)
def test_rows_are_chosen(text, expected):
    assert rows(text, n=[0, 1, 2, 3, 4]) == expected


@pytest.mark.parametrize("text", ["n > 0", "n != 5", "n in [1]", "n <= 1"])
def test_a_comparison_with_null_is_not_true(text):
    assert rows(text, n=[None, 1]) == [1]
    assert rows(text, n=[None, None]) == []


def test_values_of_a_dictionary_and_dates_are_compared_by_what_they_stand_for():
    assert rows("s == 'b'", s=pa.array(["a", "b"]).dictionary_encode()) == [1]
    assert rows("day >= '2026-01-02'", day=[dt.date(2026, 1, 1), dt.date(2026, 1, 2)]) == [1]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("n > 21", False),
        ("n > 19", True),
        ("n < 9", False),
        ("n <= 10", True),
        ("n == 15", True),
        ("n == 9", False),
        ("n != 15", True),
        ("n in [1, 2]", False),
        ("n in [1, 11]", True),
        ("n > 21 or s == 'x'", True),
        ("n > 21 and s == 'x'", False),
        ("n > 'ten'", True),
    ],
)
def test_a_row_group_is_left_out_only_if_nothing_in_it_can_match(text, may):
    ranges = {"n": (10, 20), "s": None}
    assert Predicate(text).may_hold(ranges.get, SCHEMA) is may


def test_it_needs_the_columns_that_it_names():
    assert Predicate("n > 1 and (s == 'x' or n < 0)").columns == ["n", "s"]
    with pytest.raises(ValueError, match="`filter` needs a column 'x', which isn't there"):
        Predicate("x > 1").check(SCHEMA)
    with pytest.raises(ValueError, match="`filter` can't compare 'n', which is int64, with 'ten'"):
        Predicate("n > 'ten'").check(SCHEMA)


@pytest.mark.parametrize("text", ["n", "n > m", "f(n) > 1", "not n", "n > [1]", "n >", "n in s", "n is 1"])
def test_what_a_filter_does_not_know(text):
    with pytest.raises(ValueError, match=r"isn't known here|isn't an expression"):
        Predicate(text)
