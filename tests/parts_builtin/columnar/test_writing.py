"""What the sinks of columns have in common: one schema for the whole output."""

from decimal import Decimal

import pytest
from support import needs

pa = needs.module("pyarrow", "stagerunner[arrow]")

from stagerunner import ArrowRows
from stagerunner_parts.columnar.types import ColumnType
from stagerunner_parts.sinks.arrow import Arrow


def sink(tmp_path, **options):
    return Arrow(path=tmp_path / "out.arrow", **options)


def columns(**values):
    return ArrowRows(pa.RecordBatch.from_pydict(values))


def test_the_first_record_decides_on_the_columns(tmp_path):
    first, other = sink(tmp_path), sink(tmp_path)
    first.expect(first.columns_of([{"n": 1}]))
    assert first.columns() == other.columns_of([{"n": 2}]) != other.columns_of([{"n": "2"}])
    with pytest.raises(ValueError, match=r"'n' doesn't fit into int64.*; the first record decides on the columns"):
        first.encode([{"n": "x"}])


def test_decimals_have_room_for_more_digits_than_the_first(tmp_path):
    made = sink(tmp_path)
    made.expect(made.columns_of([{"n": Decimal("1.50")}]))
    assert len(made.encode([{"n": Decimal("1234567.25")}]))


@pytest.mark.parametrize("records", [[{"n": 1, "x": 2}], columns(n=[1], x=[2])])
def test_a_field_without_a_column_is_refused_or_ignored(tmp_path, records):
    schema = {"n": ColumnType("int64")}
    with pytest.raises(ValueError, match="no column for 'x'"):
        sink(tmp_path, schema=schema).encode(records)
    both = sink(tmp_path, schema=schema, extras="ignore").encode(records), sink(tmp_path).encode(columns(n=[1]))
    assert bytes(both[0]) == bytes(both[1])


@pytest.mark.parametrize("records", [[{"n": 1}], columns(n=[1])])
def test_a_column_that_is_lacking_is_refused_or_filled(tmp_path, records):
    schema = {"n": ColumnType("int64"), "s": ColumnType("string")}
    with pytest.raises(ValueError, match="lacks 's'"):
        sink(tmp_path, schema=schema).encode(records)
    assert len(sink(tmp_path, schema=schema, missing="fill").encode(records))


def test_no_records_are_no_bytes(tmp_path):
    assert sink(tmp_path).encode([]) == b""


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("out.arrow", {"group": 0}, "at least 1"),
        ("out.arrow", {"rows": 5}, "is one file; parts need a folder"),
        ("{n}.arrow", {}, "a field can be part of a path"),
        ("out.arrow.gz", {}, "leave .gz out"),
    ],
)
def test_what_can_not_be_written_is_a_mistake_in_the_plan(tmp_path, name, options, why):
    with pytest.raises(ValueError, match=why):
        Arrow(path=tmp_path / name, **options).check()


def test_the_new_mode_overwrites_nothing(tmp_path):
    (tmp_path / "out.arrow").touch()
    with pytest.raises(FileExistsError, match="mode `new` overwrites nothing"):
        sink(tmp_path, mode="new").check_new()
