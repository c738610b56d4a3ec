"""Frames: what travels on a pipe, byte by byte.

    header, 56 bytes:  magic 4 · version 1 · kind 1 · flags 2 · epoch 4 · sequence 8 · split 8 · first 4 · last 4
                       · piece 4 · records 4 · length 8 · crc 4 (of the 52 bytes before it)
    metadata:          stop 4 · block 4 · room 8 · slowest 8 · widest 8 · heavy 8 · length of the lines 4 · length of
                       the rest 4 · lines: the ledger, 60 bytes for each stage passed · rest: everything else, pickled;
                       usually empty
    body

The body of a DATA frame is a pickled list of records, what a source's `read` needs, or what a sink's `encode` returned.
The frame stands for the source records first ≤ i < last of the split. The header is checked before memory is allocated
for the payload, which is metadata and body.

Most frames have only a ledger as metadata, which only the parent reads: a worker forwards the lines of earlier stages
as bytes and appends its own. (Pickled metadata cost 8 µs more on each of four hops.)
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias
from zlib import crc32

from stagerunner.evaluate.wording import text_of
from stagerunner.records import Counts, Failure, Plain, QuarantineKey, Spread
from stagerunner.tuples import NamedTuple
from stagerunner.wire.arena import Ref

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


# Metadata


HEAD = struct.Struct("<iiQQQQII")
"""The part of fixed size, with what every frame has to say."""

LINE = struct.Struct("<i7q")
"""The ledger of one stage."""


class Metadata(Plain):
    """What a frame carries beside its records.

    origins, failures: as in a Batch. quarantined: records that must not be tried. stop: the stage that needs no more
    records, or -1. slowest: nanoseconds of the slowest worker so far. widest: bytes of the largest frame between
    workers so far.
    lines, extras: the ledger of all stages passed, for the whole frame and on its last piece only; see `book` and
    `counts`. Of a frame in pieces, or one that was cut, the parent uses `spread` instead.
    spread: how counts divide by source record, where the other fields don't say it: pickled (stage, Spread), for only
    the parent reads them. Any piece may carry it, for its own records and for later ones.
    block, room: the frame's block in the arena (-1: none), and the bytes it has in each segment. buffer_refs: where
    this piece's stream and buffers lie; see wire.payload. heavy: the most bytes that any segment got, or needed.
    held: (group, worker) → blocks of which that worker's stages still hold buffers, if that has changed.
    """

    __slots__ = (
        "block",
        "buffer_refs",
        "extras",
        "failures",
        "heavy",
        "held",
        "lines",
        "origins",
        "quarantined",
        "room",
        "slowest",
        "spread",
        "stop",
        "widest",
    )  # fmt: skip

    def __init__(
        self,
        origins: list[int] | None = None,
        failures: list[Failure] | None = None,
        quarantined: dict[QuarantineKey, tuple[str, str]] | None = None,
        stop: int = -1,
        slowest: int = 0,
        widest: int = 0,
        *,
        block: int = -1,
        room: int = 0,
        buffer_refs: list[Ref] | None = None,
        heavy: int = 0,
        held: dict[tuple[int, int], tuple[int, ...]] | None = None,
    ) -> None:
        self.origins = origins
        self.failures: list[Failure] = [] if failures is None else failures
        self.quarantined: dict[QuarantineKey, tuple[str, str]] = {} if quarantined is None else quarantined
        self.stop, self.slowest, self.widest = stop, slowest, widest
        self.lines = b""
        self.extras: list[tuple[int, dict[str, int]]] = []
        self.spread: list[bytes] = []
        self.block, self.room, self.buffer_refs, self.heavy = block, room, buffer_refs, heavy
        self.held: dict[tuple[int, int], tuple[int, ...]] = {} if held is None else held

    def book(self, counts: Iterable[Counts]) -> None:
        """Append these counts to the ledger."""
        for c in counts:
            self.lines += line(c)
            if c.extra:
                self.extras = [*self.extras, (c.stage, c.extra)]
            if c.spread is not None:
                self.spread = [*self.spread, pack_spread(c.stage, c.spread)]

    @property
    def booked(self) -> list[tuple[int, ...]]:
        """The ledger's lines: (stage, taken, created, out, filtered, skipped, dead, not processed).

        A stage may have several.
        """
        return list(LINE.iter_unpack(self.lines))

    @property
    def counts(self) -> list[Counts]:
        """The ledger as Counts, with the stages' own counters."""
        return [Counts(*entry) for entry in LINE.iter_unpack(self.lines)] + [
            Counts(stage, extra=extra) for stage, extra in self.extras
        ]


def line(c: Counts) -> bytes:
    """A stage's line in the ledger, without its own counters."""
    return LINE.pack(*as_line(c))


def as_line(c: Counts) -> tuple[int, ...]:
    """The numbers of such a line."""
    return c.stage, c.taken, c.created, c.out, c.filtered, c.skipped, c.dead, c.not_processed


def pack_spread(stage: int, spread: Spread) -> bytes:
    return pickle.dumps((stage, *spread), 5)


def unpack_spread(data: bytes) -> tuple[int, Spread]:
    stage, *spread = pickle.loads(data)
    return stage, Spread(*spread)


def pack_metadata(metadata: Metadata) -> bytes:
    """The metadata as bytes, to be sent before a frame's body."""
    rest = b""
    n = metadata
    if (
        n.origins is not None
        or n.failures
        or n.quarantined
        or n.extras
        or n.buffer_refs is not None
        or n.held
        or n.spread
    ):
        buffer_refs = None if n.buffer_refs is None else [tuple(ref) for ref in n.buffer_refs]
        failures = [_flat(failure) for failure in n.failures]
        fields = (n.origins, failures, n.quarantined, n.extras, buffer_refs, n.held, n.spread)
        rest = pickle.dumps(fields, 5)
    lines = n.lines
    return HEAD.pack(n.stop, n.block, n.room, n.slowest, n.widest, n.heavy, len(lines), len(rest)) + lines + rest


def unpack_payload(payload: Any) -> tuple[Metadata, memoryview]:
    """A payload's metadata and body. Raises BadFrame if it has no valid metadata."""
    view = memoryview(payload)
    if len(view) < HEAD.size:
        raise BadFrame("a payload without metadata")
    stop, block, room, slowest, widest, heavy, ledger, more = HEAD.unpack_from(view)
    start = HEAD.size + ledger
    end = start + more
    if end > len(view) or ledger % LINE.size:
        raise BadFrame("metadata longer than its payload")
    metadata = Metadata(None, None, None, stop, slowest, widest, block=block, room=room, heavy=heavy)
    metadata.lines = bytes(view[HEAD.size : start])
    if more:
        _read_rest(metadata, view[start:end])
    return metadata, view[end:]


def _read_rest(metadata: Metadata, data: memoryview) -> None:
    try:
        (
            metadata.origins,
            failures,
            metadata.quarantined,
            metadata.extras,
            buffer_refs,
            metadata.held,
            metadata.spread,
        ) = pickle.loads(data)
        metadata.failures = [Failure(*failure) for failure in failures]
        metadata.buffer_refs = None if buffer_refs is None else [Ref(*ref) for ref in buffer_refs]
    except BaseException as error:  # a record's own methods run here
        raise BadFrame(f"metadata that can't be read ({type(error).__name__}: {error})") from None


def _flat(failure: Failure) -> tuple[Any, ...]:
    """A failure as a tuple; with its record as text if that can't be pickled and unpickled."""
    try:
        pickle.loads(pickle.dumps(failure.record, 5))
    except BaseException:  # the record's own methods run here; they may even exit
        failure = failure._replace(record=None, text=text_of(failure.record))
    return tuple(failure)


# Bundles


Data: TypeAlias = bytes | bytearray | memoryview


def bundle(frames: Iterable[tuple[Header, Data, Data]]) -> bytes:
    """The frames, each given as header, metadata and body."""
    parts: list[Data] = []
    for header, metadata, body in frames:
        parts += (pack_header(header, len(metadata) + len(body)), metadata, body)
    return b"".join(parts)


def frames_of(data: bytes | memoryview) -> Iterator[Frame]:
    """The frames of a bundle; their payloads are views of it. Raises BadFrame."""
    view, at = memoryview(data), 0
    while at < len(view):
        if at + SIZE > len(view):
            raise BadFrame("a bundle that ends within a header")
        header = unpack_header(view, len(view) - at - SIZE, at)
        at += SIZE
        yield Frame(header, view[at : at + header.length])
        at += header.length
