"""Files with different columns have types in which each keeps its values, or no common type."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner import ArrowRows
from stagerunner_parts.columnar.widening import common, widened

NOON = datetime(2024, 1, 31, 12)
COLUMNS = {
    "int8": pa.array([-128, None], pa.int8()),
    "int64": pa.array([2**60 + 1, -(2**63)]),
    "uint64": pa.array([2**64 - 1, 0], pa.uint64()),
    "double": pa.array([0.1, None]),
    "bool": pa.array([True, None]),
    "text": pa.array(["a", None]),
    "few": pa.array(["b", None]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
    "many": pa.array(["c", "d"]).cast(pa.dictionary(pa.int16(), pa.string())),
    "money": pa.array([Decimal("1.50"), None]),
    "exact": pa.array([Decimal("12345678901234567890123456789012345.678"), None]),
    "zoned": pa.array([NOON.replace(tzinfo=UTC), None], pa.timestamp("ms", "UTC")),
    "finer": pa.array([NOON.replace(tzinfo=UTC), None], pa.timestamp("us", "UTC")),
    "plain": pa.array([NOON, None], pa.timestamp("us")),
    "day": pa.array([date(2024, 1, 31), None]),
    "nothing": pa.nulls(2),
    "list": pa.array([[1, None], None]),
    "floats": pa.array([[0.5], []]),
    "struct": pa.array([{"a": 1}, None]),
}
TOGETHER = [
    {"text", "few", "many"},
    {"int8", "int64", "money", "exact"},
    {"uint64", "money", "exact"},
    {"int8", "double"},
    {"zoned", "finer"},
    {"list", "floats"},
]
"""Columns of which each keeps its values beside the others. Each does so beside nulls."""


def batch(name):
    return pa.record_batch({"x": COLUMNS[name]})


def both(one, two):
    """The rows of both under their common columns; None if there are none, or if they don't hold these values."""
    try:
        schema = common(batch(one).schema, batch(two).schema)
        return [ArrowRows(widened(batch(name), schema, f"{name}.parquet")).to_list() for name in (one, two)]
    except ValueError:
        return None


def test_values_are_kept_or_refused():
    for one, two in product(COLUMNS, repeat=2):
        together = one == two or "nothing" in (one, two) or any({one, two} <= those for those in TOGETHER)
        kept = [ArrowRows(batch(name)).to_list() for name in (one, two)]
        assert both(one, two) == (kept if together else None), (one, two)


def test_no_decimal_becomes_a_float():
    with pytest.raises(
        ValueError, match=r"'x' is decimal128\(3, 2\) in one and double in the other, and no type holds"
    ):
        common(batch("double").schema, batch("money").schema)


def test_a_value_that_does_not_fit_is_told_with_its_column_and_file():
    schema = common(batch("double").schema, batch("int64").schema)
    with pytest.raises(
        ValueError, match=r"'x' is int64 in b\.parquet, and double with the other files, which doesn't hold"
    ):
        widened(batch("int64"), schema, "b.parquet")
