"""`ArrowRows`: the rows of a record batch as records. And back: `as_record_batch`.

A stage of batches gets the batch, any other stage each row as a dict. What is handed on unchanged is neither converted
nor copied: the columns' memory goes out of band in pickle 5, so it lies in shared memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from operator import itemgetter
from typing import Any

import pyarrow as pa

from stagerunner.evaluate.arrow.losses import is_other_sort, loss_between, loss_of
from stagerunner.records import Rows

SLACK = 1024
"""Bytes of a column's memory that it may have beside what its rows need, before it is copied to be sent."""


class ArrowRows(Rows):
    """The rows of a record batch: a sequence of dicts that are made when they are asked for. A slice copies nothing.

    batch: the pyarrow.RecordBatch. It can't change.
    """

    __slots__ = ("batch",)

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        rows: int = self.batch.num_rows
        return rows

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            return rows_of(self.batch.slice(range(len(self))[index], 1))[0]
        start, stop, step = index.indices(len(self))
        if step != 1:
            return self.take(range(start, stop, step))
        return ArrowRows(self.batch.slice(start, max(0, stop - start)))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_list())

    def to_list(self) -> list[dict[str, Any]]:
        """Each row as a dict."""
        return rows_of(self.batch)

    def take(self, indexes: Iterable[int]) -> ArrowRows:
        """The rows at these indexes."""
        return ArrowRows(self.batch.take(pa.array(list(indexes), pa.int64())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrowRows) and bool(self.batch.equals(other.batch))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ArrowRows({len(self)} × {', '.join(self.batch.schema.names)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.batch.schema, [_alone(column) for column in self.batch.columns])


def _rebuilt(schema: Any, columns: list[Any]) -> ArrowRows:
    return ArrowRows(pa.RecordBatch.from_arrays(columns, schema=schema))


def _alone(column: Any) -> Any:
    """The column without memory of rows that aren't its own: a slice would be sent with all that it was cut from."""
    if not column.offset and column.get_total_buffer_size() <= column.nbytes + column.nbytes // 8 + SLACK:
        return column
    return pa.concat_arrays([column])


# Columns → dicts


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """The rows of a record batch as dicts. A datetime has no nanoseconds: they are cut."""
    names = batch.schema.names
    return [dict(zip(names, values, strict=True)) for values in zip(*map(values_of, batch.columns), strict=True)]


def values_of(column: Any) -> list[Any]:
    """The values of a column as Python objects. Bytes in a text that are not UTF-8 become surrogates."""
    coarse = _coarse(column.type)
    try:
        found: list[Any] = (column if coarse == column.type else column.cast(coarse, safe=False)).to_pylist()
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
        return [None if value is None else value.decode(errors="surrogateescape") for value in raw]
    return found


def _coarse(kind: Any) -> Any:
    """The type with microseconds for nanoseconds, which pyarrow refuses to convert, or converts with pandas if that
    is installed."""
    types = pa.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if types.is_struct(kind):
        return pa.struct([_coarse_field(kind.field(at)) for at in range(kind.num_fields)])
    if types.is_list(kind):
        return pa.list_(_coarse_field(kind.value_field))
    if types.is_large_list(kind):
        return pa.large_list(_coarse_field(kind.value_field))
    if types.is_map(kind):
        return pa.map_(_coarse_field(kind.key_field), _coarse_field(kind.item_field), kind.keys_sorted)
    return kind


def _coarse_field(field: Any) -> Any:
    return field.with_type(_coarse(field.type))


# Dicts → columns


def as_record_batch(records: Sequence[Any], schema: Any = None) -> Any:
    """These records as one pyarrow.RecordBatch.

    schema: its columns; by default those of the batch that the records are, or all fields of the records, with types
    that pyarrow finds. A field that a record lacks is null. Raises ValueError if a record isn't a mapping with names of
    text, or if its values don't fit.
    """
    if isinstance(records, ArrowRows):
        return records.batch if schema is None else fitted(records.batch, schema)
    if (alike := _alike(records, schema)) is not None:
        return alike
    names = _names(records)
    return _batch(names, schema, lambda name: [record.get(name) for record in records])


def _alike(records: Sequence[Any], schema: Any) -> Any:
    """The batch of dicts that all have the same fields; None if they don't, or if their values don't fit.

    To compare the names of all records costs as much as half of their values; a name that one lacks is missed here.
    """
    if set(map(type, records)) != {dict} or len(set(map(len, records))) > 1:
        return None
    names = list(records[0])
    if not names or set(map(type, names)) != {str} or (schema is not None and set(schema.names) != set(names)):
        return None
    try:
        return _batch(names, schema, lambda name: list(map(itemgetter(name), records)))
    except (KeyError, ValueError):
        return None


def _batch(names: list[str], schema: Any, values: Callable[[str], list[Any]]) -> Any:
    """The batch of these columns, or those of the schema. Raises ValueError if values don't fit."""
    if schema is None:
        return pa.RecordBatch.from_arrays([_column(values(name), name, None) for name in names], names=names)
    columns = [_column(values(field.name), field.name, field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def fitted(batch: Any, schema: Any) -> Any:
    """The batch with the columns of the schema, found by name; their values are converted if nothing of them is lost.

    Raises ValueError if it lacks one, or if a value doesn't fit.
    """
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    columns = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        if at < 0:
            raise ValueError(f"there is no column {field.name!r}")
        columns.append(_converted(batch.column(at), field))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _converted(column: Any, field: Any) -> Any:
    if column.type == field.type:
        return column
    if is_other_sort(column.type, field.type):
        return _column(values_of(column), field.name, field.type)
    try:
        found = column.cast(field.type)
        if lost := loss_between(column, found):
            raise ValueError(lost)
        return found
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"the column {field.name!r} is {field.type}, and {column.type} doesn't fit: {error}") from None


def _names(records: Sequence[Any]) -> list[str]:
    """The names of all fields, in the order in which they come up."""
    if set(map(type, records)) != {dict}:  # asking each costs more than its values
        for record in records:
            if not isinstance(record, Mapping):
                raise ValueError(f"a row of a batch is a mapping, but this is of type {type(record).__name__}")
    found = dict.fromkeys(chain.from_iterable(dict.fromkeys(map(tuple, records))))
    for name in found:
        if not isinstance(name, str):
            raise ValueError(f"the name of a column is text, but {name!r:.60} is of type {type(name).__name__}")
    if not found:
        raise ValueError("a row of a batch needs at least one field")
    return list(found)


def _column(values: list[Any], name: str, kind: Any) -> Any:
    try:
        if kind is not None and (lost := loss_of(values, kind)):
            raise ValueError(lost)
        if kind is not None and _cuts_fractions(kind, values):
            return pa.array(values).cast(kind)
        return pa.array(values, type=kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"the field {name!r} doesn't fit into {kind or 'one column'}: {error}") from None


def _cuts_fractions(kind: Any, values: list[Any]) -> bool:
    """Whether pyarrow would make 1 of 1.5 in silence: it does so for every type of whole numbers, nested ones too."""
    if pa.types.is_integer(kind):
        return not {float, Decimal}.isdisjoint(map(type, values))
    return bool(pa.types.is_nested(kind) and "int" in str(kind))
