"""Frames: what travels on a pipe, byte by byte.

    header, 56 bytes:  magic 4 · version 1 · kind 1 · flags 2 · epoch 4 · sequence 8 · split 8 · first 4 · last 4
                       · piece 4 · records 4 · length 8 · crc 4 (of the 52 bytes before it)
    payload:           metadata (wire.metadata) · body

The body of a DATA frame is a pickled list of records, what a source's `read` needs, or what a sink's `encode` returned.
The frame stands for the source records first ≤ i < last of the split. The header is checked before memory is allocated
for the payload.
"""

from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

from stagerunner.tuples import NamedTuple

MAGIC = b"SgRn"
VERSION = 1
HEADER = struct.Struct("<4sBBHIQQIIIIQ")
CHECKED = struct.Struct(HEADER.format + "I")
SIZE = CHECKED.size
CRC = struct.Struct("<I")

MORE = 1
"""Flag: more pieces of this frame follow."""
STOP = 2
"""Flag: a stage needs no more records."""
MARKED = 4
"""Flag: note each record in the slot before its call, because one of them may have killed a worker."""
HELD = 8
"""Flag: user code still holds an array that lies in this frame's block."""

CUT = 16
"""Flag: the run is halted, and the frame ends here: what lies behind `last` was not processed."""

CONTROL = 512 - SIZE
"""Bytes a control frame may carry: a frame of this size is written whole or not at all, even under SIGKILL."""


class BadFrame(Exception):
    """Bytes from a pipe that aren't a valid frame."""


class Header(NamedTuple):
    """A frame's header. `length` counts the payload's bytes."""

    kind: int
    flags: int
    epoch: int
    sequence: int
    split: int = 0
    first: int = 0
    last: int = 0
    piece: int = 0
    records: int = 0
    length: int = 0

    @property
    def more(self) -> bool:
        return bool(self.flags & MORE)

    @property
    def stop(self) -> bool:
        return bool(self.flags & STOP)

    @property
    def marked(self) -> bool:
        return bool(self.flags & MARKED)


class Frame(NamedTuple):
    """A header and its payload."""

    header: Header
    payload: bytes | bytearray | memoryview


def pack_header(header: Header, length: int | None = None) -> bytes:
    """The 56 bytes of a header. length: of the payload, if the header doesn't hold it yet."""
    head = HEADER.pack(MAGIC, VERSION, *header[:-1], header.length if length is None else length)
    return head + CRC.pack(crc32(head))


def unpack_header(data: Any, limit: int, start: int = 0) -> Header:
    """The header in the 56 bytes of `data` from `start` on.

    Raises BadFrame if there is no valid one, or if its payload is longer than `limit`.
    """
    magic, version, *fields, crc = CHECKED.unpack_from(data, start)
    if crc != crc32(data[start : start + HEADER.size]):
        raise BadFrame("a header's checksum is wrong")
    if magic != MAGIC or version != VERSION:
        raise BadFrame("no frame of this version")
    header = tuple.__new__(Header, fields)  # faster than `Header(*fields)`, which calls Python code
    if header.length > limit:
        raise BadFrame(f"a frame of {header.length} bytes, over the limit of {limit}")
    return header
