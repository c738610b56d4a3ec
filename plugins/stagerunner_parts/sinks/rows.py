"""Records as rows for SQLite: plain values by column, in groups that share their columns."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from enum import Enum
from io import BytesIO
from itertools import groupby
from math import isnan
from typing import Any, TypeAlias

from stagerunner_parts.sinks.cells import cell_text

Names: TypeAlias = tuple[str, ...]
Row: TypeAlias = tuple[Any, ...]

LARGEST = 2**63


def packed(records: list[Any]) -> bytes:
    """Rows in groups. Raises ValueError for a record that can't be a row."""
    groups = groupby(records, _names)
    return b"".join(pickle.dumps((names, [_row(record) for record in group])) for names, group in groups)


def unpacked(data: bytes) -> Iterator[tuple[Names, list[Row]]]:
    """The groups again; `data` may be several packed ones in a row."""
    stream = BytesIO(data)
    while stream.tell() < len(data):
        yield pickle.load(stream)


def _names(record: Any) -> Names:
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
