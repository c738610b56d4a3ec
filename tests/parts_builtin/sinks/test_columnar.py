"""Values for typed columns: a column takes what it can hold exactly, and nothing else."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest

from stagerunner_parts.sinks.columnar import fit_of, spelled, type_of

NOON = datetime(2026, 1, 31, 12)
UNIQUE = UUID(int=7)


class Size(Enum):
    LARGE = 3


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "BOOLEAN"),
        (1, "BIGINT"),
        (1.5, "DOUBLE"),
        ("x", "VARCHAR"),
        (b"x", "BLOB"),
        (Decimal("1.5"), "DECIMAL(38,10)"),
        (NOON, "TIMESTAMP"),
        (NOON.replace(tzinfo=UTC), "TIMESTAMP WITH TIME ZONE"),
        (NOON.date(), "DATE"),
        (NOON.time(), "TIME"),
        (timedelta(1), "INTERVAL"),
        (UNIQUE, "UUID"),
        ([1], "JSON"),
        ({"a": 1}, "JSON"),
        (Size.LARGE, "BIGINT"),
        (None, "VARCHAR"),
    ],
)
def test_a_new_column_gets_the_type_of_its_first_value(value, kind):
    assert type_of(value) == kind


@pytest.mark.parametrize(
    ("kind", "name"),
    [("int", "INTEGER"), (" text ", "VARCHAR"), ("decimal(10, 2)", "DECIMAL(10,2)"), ("integer[]", "INTEGER[]")],
)
def test_types_are_spelled_as_duckdb_does(kind, name):
    assert spelled(kind) == name


@pytest.mark.parametrize("kind", ["", "int; drop table a", "int--"])
def test_what_can_be_no_type_is_refused(kind):
    with pytest.raises(ValueError, match="can't be a type of DuckDB"):
        spelled(kind)


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("TINYINT", 127, 127),
        ("UTINYINT", 255, 255),
        ("HUGEINT", -(2**127), -(2**127)),
        ("DECIMAL(4,2)", 1.1, Decimal("1.10")),
        ("DECIMAL(4,2)", 99, Decimal(99)),
        ("DOUBLE", 1, 1.0),
        ("VARCHAR", "x", "x"),
        ("JSON", {"a": [1]}, '{"a":[1]}'),
        ("DATE", date(2026, 1, 31), date(2026, 1, 31)),
        ("TIME", time(1), time(1)),
        ("TIMESTAMP", NOON, NOON),
        ("UUID", str(UNIQUE), str(UNIQUE)),
        ("INTEGER[]", [1], [1]),
    ],
)
def test_a_value_that_fits(kind, value, kept):
    assert fit_of(kind)(value) == kept


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("TINYINT", 128, "out of the range of TINYINT"),
        ("UTINYINT", -1, "out of the range of UTINYINT"),
        ("BIGINT", True, "of type bool, not BIGINT"),
        ("BIGINT", 1.0, "of type float, not BIGINT"),
        ("DECIMAL(4,2)", 1.234, "more decimals than"),
        ("DECIMAL(4,2)", 100, "out of the range of"),
        ("DOUBLE", 10**400, "out of the range of DOUBLE"),
        ("DOUBLE", Decimal("1e400"), "out of the range of DOUBLE"),
        ("DOUBLE", "1", "not a number"),
        ("VARCHAR", 1, "not a text"),
        ("VARCHAR", "\ud800", "half a surrogate pair"),
        ("BOOLEAN", 1, "not true or false"),
        ("DATE", NOON, "not a date"),
        ("TIMESTAMP", NOON.replace(tzinfo=UTC), "not a time without a zone"),
        ("TIMESTAMP WITH TIME ZONE", NOON, "not a time with a zone"),
    ],
)
def test_a_value_that_does_not_fit(kind, value, why):
    with pytest.raises(ValueError, match=why):
        fit_of(kind)(value)
