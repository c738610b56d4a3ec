"""Records as rows for SQLite, encoded in the worker: plain values in groups that share their columns."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from itertools import groupby
from math import isnan
from typing import Any, TypeAlias

from stagerunner_parts.sinks.pairs import join, pairs_in
from stagerunner_parts.sinks.tables import cell_text

Names: TypeAlias = tuple[str, ...]
Row: TypeAlias = tuple[Any, ...]

LARGEST = 2**63


def checked(record: Any) -> Any:
    """The record itself. Raises ValueError if it can't be a row."""
    names_of(record)
    return record


def packed(records: list[Any], shaped: Callable[[Any], Any] = checked) -> bytes:
    """Encode records as groups of rows. Raises ValueError for one that can't be a row.

    shaped: gives the record as it will be stored, for example without some fields.
    """
    groups = groupby(map(shaped, records), tuple)
    return join((pickle.dumps(names), pickle.dumps([_row(record) for record in group])) for names, group in groups)


def unpacked(data: bytes) -> Iterator[tuple[Names, list[Row]]]:
    """Decode the groups. `data` may be the output of several calls of `packed`, joined."""
    for head, rows in pairs_in(data):
        yield pickle.loads(head), pickle.loads(rows)


def names_in(data: bytes) -> set[str]:
    """The names in all groups, without decoding any rows."""
    return {name for head, _ in pairs_in(data) for name in pickle.loads(head)}


def names_of(record: Any) -> Names:
    """The names of a record's fields. Raises ValueError if one can't be a column."""
    if not isinstance(record, Mapping) or not record:
        raise ValueError(f"a row needs a mapping with fields, but this is a {type(record).__name__}: {record!r:.60}")
    names = tuple(record)
    for name in names:
        if not isinstance(name, str) or "\0" in name or not _is_text(name):
            raise ValueError(f"{name!r} can't be the name of a column")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("two fields of the record differ only in case, and column names can't")
    return names


def _row(record: Mapping[str, Any]) -> Row:
    return tuple([_value(value) for value in record.values()])


def _value(value: Any) -> Any:
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, float):
        if isnan(value):
            raise ValueError("SQLite has no nan: it would become null")
        return float(value)
    if isinstance(value, int):
        if not -LARGEST <= value < LARGEST:
            raise ValueError(f"{value} can't be stored: SQLite has integers of 64 bits")
        return int(value)
    text = cell_text(value)
    if not _is_text(text) or "\0" in text:
        raise ValueError(f"{text!r:.60} has characters that can't be stored")
    return text


def _is_text(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
