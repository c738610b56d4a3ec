"""Files with different columns as one table: their columns together, with types that hold the values of each."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
"""The decimal digits that whole numbers of so many bits have at most."""


def common(schema: pa.Schema, other: pa.Schema) -> pa.Schema:
    """The columns of both. Raises ValueError, with a message, if a type can't hold the values of both."""
    if schema.equals(other):
        return schema
    for field in other:
        at = schema.get_field_index(field.name)
        if at >= 0:
            ours, theirs = _near(schema.field(at).type, field.type, field.name)
            schema = schema.set(at, schema.field(at).with_type(ours))
            other = other.set(other.get_field_index(field.name), field.with_type(theirs))
    try:
        return pa.unify_schemas([schema.remove_metadata(), other], promote_options="permissive")
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise ValueError(str(error)) from None


def _near(ours: pa.DataType, theirs: pa.DataType, name: str) -> tuple[pa.DataType, pa.DataType]:
    """Types with the same values, of which pyarrow finds a common one that holds all of them."""
    if ours == theirs:
        return ours, theirs
    ours, theirs = _values(ours), _values(theirs)
    for one, two in ((ours, theirs), (theirs, ours)):
        if pa.types.is_decimal(one) and pa.types.is_floating(two):
            # pyarrow takes a float, which has other digits.
            raise ValueError(f"{name!r} is {one} in one and {two} in the other, and no type holds the values of both")
    if pa.types.is_decimal(ours):
        return ours, _as_decimal(theirs)
    if pa.types.is_decimal(theirs):
        return _as_decimal(ours), theirs
    return ours, theirs


def _values(kind: Any) -> Any:
    """The type of the values of a dictionary: that of their indexes differs with their number."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as_decimal(kind: Any) -> Any:
    return pa.decimal128(DIGITS[kind.bit_width], 0) if pa.types.is_integer(kind) else kind


def widened(batch: pa.RecordBatch, schema: pa.Schema, file: str) -> pa.RecordBatch:
    """The batch of a file with the columns of all. Raises ValueError, with a message, if a value doesn't fit."""
    columns = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        columns.append(pa.nulls(batch.num_rows, field.type) if at < 0 else _converted(batch.column(at), field, file))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _converted(column: Any, field: pa.Field, file: str) -> Any:
    try:
        return column.cast(field.type)
    except pa.ArrowException as error:
        kinds = f"{column.type} in {file}, and {field.type} with the other files"
        raise ValueError(
            f"the column {field.name!r} is {kinds}, which doesn't hold all values: {error}; "
            "read these files in runs of their own, or leave the column out with `columns`"
        ) from None
