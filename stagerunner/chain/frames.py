"""Frames: what travels on a link, byte by byte.

    header, 56 bytes:  magic 4 · version 1 · kind 1 · flags 2 · epoch 4 · sequence 8 · split 8 · first 4 · last 4
                       · piece 4 · records 4 · length 8 · crc 4 (of the 52 bytes before it)
    payload:           length of the notes 4 · notes (pickle) · body

The body of a DATA frame is a pickled list of records, or what a source's `read` needs, or what a sink's `encode`
gave. The notes hold what is said about the records (`Notes`). `first` and `last` are the source records of the split
the frame stands for, first ≤ i < last. A frame is checked before memory is taken for it.
"""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from zlib import crc32

from stagerunner.records import Conviction, Counts, Failure

MAGIC = b"SgRn"
VERSION = 1
HEADER = struct.Struct("<4sBBHIQQIIIIQ")
SIZE = HEADER.size + 4
CRC = struct.Struct("<I")
LENGTH = struct.Struct("<I")

MORE = 1
"""Flag: more pieces of this frame follow."""
STOP = 2
"""Flag: a stage needs no more records."""
MARKED = 4
"""Flag: store each record's index before its call; one of them may have killed a worker."""
HELD = 8
"""Flag: user code keeps an array of this frame's place."""

CONTROL = 512 - SIZE
"""Bytes a control frame may carry: such a frame is written at once or not at all, also under SIGKILL."""


class BadFrame(Exception):
    """What came over a link is no frame of ours."""


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


@dataclass(slots=True)
class Notes:
    """What is said about the records of a frame.

    origins, failures: as in a Batch. counts: of all stages passed, on the last piece of a frame only.
    convicted: records not to be tried. stop: the stage that needs no more, or -1.
    slowest: nanoseconds of the slowest worker so far. widest: bytes of the largest frame between workers so far.
    """

    origins: list[int] | None = None
    failures: list[Failure] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    convicted: dict[Conviction, tuple[str, str]] = field(default_factory=dict)
    stop: int = -1
    slowest: int = 0
    widest: int = 0


def pack_header(header: Header) -> bytes:
    """The 56 bytes of a header."""
    head = HEADER.pack(MAGIC, VERSION, *header)
    return head + CRC.pack(crc32(head))


def unpack_header(data: Any, limit: int) -> Header:
    """The header in the first 56 bytes of `data`. Raises BadFrame for anything else, or a payload over `limit`."""
    head = bytes(data[: HEADER.size])
    if CRC.unpack_from(data, HEADER.size)[0] != crc32(head):
        raise BadFrame("a header's checksum is wrong")
    magic, version, *fields = HEADER.unpack(head)
    if magic != MAGIC or version != VERSION:
        raise BadFrame("no frame of this version")
    header = Header(*fields)
    if header.length > limit:
        raise BadFrame(f"a frame of {header.length} bytes, over the limit of {limit}")
    return header


def pack_notes(notes: Notes) -> bytes:
    """The notes with their length before them."""
    data = pickle.dumps(
        (
            notes.origins,
            [_flat(failure) for failure in notes.failures],
            [(c.stage, c.taken, c.created, c.out, c.filtered, c.skipped, c.dead, c.extra) for c in notes.counts],
            notes.convicted,
            notes.stop,
            notes.slowest,
            notes.widest,
        ),
        5,
    )
    return LENGTH.pack(len(data)) + data


def unpack_payload(payload: Any) -> tuple[Notes, memoryview]:
    """A payload's notes and body. Raises BadFrame for anything that is none."""
    view = memoryview(payload)
    if len(view) < LENGTH.size:
        raise BadFrame("a payload without notes")
    end = LENGTH.size + LENGTH.unpack_from(view)[0]
    if end > len(view):
        raise BadFrame("notes longer than their payload")
    try:
        origins, failures, counts, *rest = pickle.loads(view[LENGTH.size : end])
        return Notes(origins, [Failure(*f) for f in failures], [Counts(*c) for c in counts], *rest), view[end:]
    except Exception as error:
        raise BadFrame(f"notes that can't be read ({type(error).__name__}: {error})") from None


def _flat(failure: Failure) -> tuple[Any, ...]:
    """A failure as a tuple; a record that can't be pickled, and read again, goes as its text."""
    try:
        pickle.loads(pickle.dumps(failure.record, 5))
    except Exception:
        failure = replace(failure, record=None, text=text_of(failure.record))
    return tuple(getattr(failure, name) for name in Failure.__slots__)


def text_of(value: Any, limit: int = 1000) -> str:
    """A value's representation, cut to `limit` characters, whatever its `__repr__` does."""
    try:
        return repr(value)[:limit]
    except BaseException:
        return f"<unprintable {type(value).__name__}>"
