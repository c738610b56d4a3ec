"""Records as rows for SQLite: plain values by column, in groups that share their columns."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from itertools import groupby
from math import isnan
from struct import Struct
from typing import Any, TypeAlias

from stagerunner_parts.sinks.cells import cell_text

Names: TypeAlias = tuple[str, ...]
Row: TypeAlias = tuple[Any, ...]

LARGEST = 2**63
SIZES = Struct(">II")
"""Bytes of the names and of the rows, in front of each group."""


def checked(record: Any) -> Any:
    """The record, if it can be a row."""
    names_of(record)
    return record


def packed(records: list[Any], shaped: Callable[[Any], Any] = checked) -> bytes:
    """Rows in groups. shaped: what is to be stored of a record. Raises ValueError for one that can't be a row."""
    pieces = []
    for names, group in groupby(map(shaped, records), tuple):
        head, rows = pickle.dumps(names), pickle.dumps([_row(record) for record in group])
        pieces += [SIZES.pack(len(head), len(rows)), head, rows]
    return b"".join(pieces)


def unpacked(data: bytes) -> Iterator[tuple[Names, list[Row]]]:
    """The groups again; `data` may be several packed ones in a row."""
    for head, rows in _groups(data):
        yield pickle.loads(head), pickle.loads(rows)


def names_in(data: bytes) -> set[str]:
    """The names in all groups; their rows are left alone."""
    return {name for head, _ in _groups(data) for name in pickle.loads(head)}


def _groups(data: bytes) -> Iterator[tuple[memoryview, memoryview]]:
    view, at = memoryview(data), 0
    while at < len(view):
        head, rows = SIZES.unpack_from(view, at)
        at += SIZES.size
        yield view[at : at + head], view[at + head : at + head + rows]
        at += head + rows


def names_of(record: Any) -> Names:
    """The fields of a record, each of which can be a column. Raises ValueError."""
    if not isinstance(record, Mapping) or not record:
        raise ValueError(
            f"a row is made from a mapping with fields, and this is a {type(record).__name__}: {record!r:.60}"
        )
    names = tuple(record)
    for name in names:
        if not isinstance(name, str) or "\0" in name or not _is_text(name):
            raise ValueError(f"{name!r} can't be the name of a column")
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("the record has two fields whose names differ only in case, which columns can't")
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
