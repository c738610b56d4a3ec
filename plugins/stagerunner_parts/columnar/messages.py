"""How many rows the batches of an Arrow file have, by its metadata alone: a remote file need not be fetched to be
counted, and a compressed one not unpacked. pyarrow gives no access to that.

At the end of a file stands where its messages are; a message begins with what it holds. Both are flatbuffers: a table
begins with the way back to its vtable, which says where in the table each field stands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from struct import unpack_from
from typing import TypeAlias

import pyarrow as pa

Range: TypeAlias = tuple[int, int]

Parts: TypeAlias = Callable[[Iterable[Range]], Iterator[bytes]]
"""Gives the bytes of each range of the file."""

END = 10
"""Bytes behind the footer: its length and the magic."""

NEAR = 65536
"""Messages so close to each other are read at once."""

BATCHES = 3
"""The field of the footer with the places of batches."""

KIND, HEADER = 1, 2
"""The fields of a message that say what it holds: the type, and the table."""

BATCH = 3
"""The type of a record batch. The first field of its table is the number of rows."""


def numbers_of_rows(size: int, parts: Parts) -> list[int]:
    """The rows of each batch of a file with so many bytes, whose footer is sound. Raises pyarrow.ArrowInvalid if a
    message isn't that of a batch."""
    try:
        return [_rows(message) for message in _messages(_places(size, parts), parts)]
    except (struct.error, IndexError):
        raise pa.ArrowInvalid("the metadata of a batch is damaged") from None


def _places(size: int, parts: Parts) -> list[Range]:
    """Where the metadata of each batch stands."""
    (end,) = parts([(size - END, size)])
    (length,) = unpack_from("<i", end)
    (footer,) = parts([(size - END - length, size - END)])
    vector = _field(footer, _table(footer), BATCHES)
    if not vector:
        return []
    vector += unpack_from("<I", footer, vector)[0]
    (number,) = unpack_from("<I", footer, vector)
    blocks = (unpack_from("<qi", footer, vector + 4 + 24 * index) for index in range(number))
    places = [(start, start + length) for start, length in blocks]
    if not all(0 <= start < stop <= size for start, stop in places):
        raise pa.ArrowInvalid("a batch lies outside the file")
    return places


def _messages(places: list[Range], parts: Parts) -> Iterator[bytes]:
    groups = list(_groups(places))
    ranges = ((group[0][0], group[-1][1]) for group in groups)
    for group, data in zip(groups, parts(ranges), strict=True):
        first = group[0][0]
        yield from (data[start - first : stop - first] for start, stop in group)


def _groups(places: list[Range]) -> Iterator[list[Range]]:
    """The places in groups that are read at once."""
    group: list[Range] = []
    for place in places:
        if group and not group[0][0] <= place[0] <= place[1] <= group[0][0] + NEAR:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _rows(message: bytes) -> int:
    # In front of it is its length; since Arrow 0.15 a mark that isn't one stands before that.
    data = message[8 if message[:4] == b"\xff\xff\xff\xff" else 4 :]
    table = _table(data)
    kind = _field(data, table, KIND)
    header = _field(data, table, HEADER)
    if not kind or not header or data[kind] != BATCH:
        raise pa.ArrowInvalid("a message isn't that of a batch")
    header += unpack_from("<I", data, header)[0]
    at = _field(data, header, 0)
    rows: int = unpack_from("<q", data, at)[0] if at else 0
    if rows < 0:
        raise pa.ArrowInvalid("a batch has a negative number of rows")
    return rows


def _table(data: bytes) -> int:
    """Where the outermost table begins."""
    start: int = unpack_from("<I", data)[0]
    return start


def _field(data: bytes, table: int, number: int) -> int:
    """Where a field of a table stands; 0 if it has none."""
    vtable = table - unpack_from("<i", data, table)[0]
    (length,) = unpack_from("<H", data, vtable)
    at = 4 + 2 * number
    (found,) = unpack_from("<H", data, vtable + at) if at < length else (0,)
    return table + found if found else 0
