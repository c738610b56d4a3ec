"""The payload codec: records as a pickle, with large buffers beside it, in the arena if the frame has a block.

    records ── pickle 5 ──▶ stream, buffers from 64 KiB on ──▶ own segment of the frame's block │ else after the stream
    buffers that lie in the block already (forwarded) stay where they are; metadata.buffer_refs says where all of it is

`bytes` never go out of band in pickle 5, so a stream from 64 KiB on goes into the segment whole. Buffers are always
read-only when they arrive: to write to one, copy it. A stream of large immutable values that leave unchanged, before
others arrive, stays where it is too (8 MB of bytes through three stages: five copies instead of eight).

One pickler is reused from frame to frame. `pickle.dumps` makes a pickler and grows its memo for every frame: a third of
its time for 1,600 small records (214 against 141 ns a record; 15 % of the whole cost of frames of 76 KB). Clearing a
memo takes time in proportion to its largest size ever, so the pickler of an unusually large frame isn't reused.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from operator import is_
from typing import Any, Protocol

from stagerunner.evaluate.copying import UNCHANGING
from stagerunner.evaluate.outcome.growth import TooLarge
from stagerunner.wire.arena import ALIGN, FROM, PIPE, Arena, Ref
from stagerunner.wire.pipe import ROOM

Refs = list[Ref]
"""Where a frame's bytes lie: its stream, then its buffers in pickle's order."""

ROOMY = 4096
"""Average bytes of a record from which on unchanged streams are looked for; that costs little beside a copy."""


class SegmentWriter(Protocol):
    """A frame's block. block: its number, -1 for none; room: bytes of each segment; used: bytes taken of our own."""

    block: int
    room: int
    used: int


class NoSegment:
    """For a frame without a block."""

    block, room, used = -1, 0, 0


class PayloadCodec:
    """Encodes and decodes the bodies of frames for one owner. Set `segment` before encoding for a frame.

    buffer_refs, size, heavy: of what was encoded last. Where it lies (None: all in the body), its bytes in all, and the
    bytes that went into our segment, or would have with enough room. most: bytes that may be encoded at once.
    """

    def __init__(self, arena: Arena | None, owner: int) -> None:
        self.segment: SegmentWriter = NoSegment()
        self.buffer_refs: Refs | None = None
        self.size = self.heavy = 0
        self.most = sys.maxsize
        self._arena = arena
        self._owner = owner
        self._buffers: list[memoryview] = []
        self._came: tuple[tuple[Any, ...], int, Ref] | None = None
        """The immutable records that arrived last, their block, and where their stream lies in it."""
        self._pickling = Pickling(self._set_aside)
        self._plainly: Pickling | None = None
        self._top = 0

    def _set_aside(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether this buffer stays in the stream: it is small or not contiguous."""
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < FROM:
            return True
        self._buffers.append(raw)
        return False

    # Encoding

    def __call__(self, records: list[Any], plain: bool = False) -> bytes:
        """The body of a frame with these records. Raises whatever pickling raises, and TooLarge.

        plain: raise Strange for values that aren't plain.
        """
        if self._came is not None and self._unchanged(records):
            return b""
        self._buffers.clear()
        try:
            parts = (self._for_plain() if plain else self._pickling).parts(records)
            if self._buffers or len(parts) > 1 or len(parts[0]) >= FROM:
                return self._with_buffers(parts, self._buffers)
            self.size, self.buffer_refs = len(parts[0]), None  # the usual case: nothing for the arena
            if self.size > self.most:
                raise TooLarge(self.size, self.most)
            self.heavy = self._top = self.segment.used
            return parts[0]
        finally:
            self._buffers.clear()

    def _for_plain(self) -> Pickling:
        if self._plainly is None:
            self._plainly = Pickling(self._set_aside, plain=True)
        return self._plainly

    def _unchanged(self, records: list[Any]) -> bool:
        """Whether these are the very objects that arrived last. Their stream is then forwarded from where it lies."""
        assert self._came is not None
        (came, block, ref), self._came = self._came, None
        if block != self.segment.block or len(records) != len(came) or not all(map(is_, records, came)):
            return False
        self.size, self.buffer_refs = ref.length, [ref]
        self.heavy = self._top = self.segment.used
        return True

    def body(self, data: Any) -> Any:
        """The body of a frame whose content is bytes already: the same bytes, or b"" if they went into the arena."""
        self._came = None
        self.buffer_refs, self.size = None, len(data)
        self.heavy = self._top = self.segment.used
        ref = self._copy_into_segment([memoryview(data).cast("B")], len(data)) if len(data) >= FROM else None
        if ref is None:
            return data
        self.buffer_refs = [ref]
        return b""

    def keep(self) -> None:
        """What was encoded last is sent, so the next piece of this frame must not overwrite it."""
        self.segment.used = self._top

    def _with_buffers(self, stream: Sequence[bytes | memoryview], buffers: list[memoryview]) -> bytes:
        length = sum(map(len, stream))
        self.size = length + sum(map(len, buffers))
        if self.size > self.most:
            raise TooLarge(self.size, self.most)
        self.heavy = self._top = self.segment.used
        head = self._copy_into_segment(stream, length) if length >= FROM else None
        buffer_refs = [head or Ref(PIPE, 0, length)]
        body = [] if head else list(stream)
        behind = 0 if head else length
        for raw in buffers:
            ref = self._forwarded(raw) or self._copy_into_segment([raw], raw.nbytes)
            if ref is None:
                ref = Ref(PIPE, behind, raw.nbytes)
                behind += raw.nbytes
                body.append(raw)
            buffer_refs.append(ref)
        self.buffer_refs = buffer_refs if buffers or head else None
        if len(body) == 1 and type(body[0]) is bytes:
            return body[0]
        return b"".join(body)

    def _forwarded(self, raw: memoryview) -> Ref | None:
        if self._arena is None or self.segment.block < 0:
            return None
        return self._arena.find(self.segment.block, raw)

    def _copy_into_segment(self, parts: Sequence[bytes | memoryview], length: int) -> Ref | None:
        """Append to our own segment; None if there is no room."""
        self.heavy += length + ALIGN
        start = -(-self._top // ALIGN) * ALIGN
        if self._arena is None or self.segment.block < 0 or start + length > self.segment.room:
            return None
        ref = Ref(self._owner, start, length)
        segment = self._arena.view(self.segment.block, ref)
        at = 0
        for part in parts:
            segment[at : at + len(part)] = part
            at += len(part)
        self._top = start + length
        return ref

    def empty(self, length: int) -> memoryview | None:
        """Writable bytes of our own segment; None if there is no room."""
        start = -(-self.segment.used // ALIGN) * ALIGN
        if self._arena is None or self.segment.block < 0 or start + length > self.segment.room:
            return None
        self.segment.used = start + length
        return self._arena.view(self.segment.block, Ref(self._owner, start, length))

    def held(self, blocks: Iterable[int]) -> tuple[int, ...]:
        """Those of these blocks of which this process holds a buffer."""
        return () if self._arena is None else self._arena.held(blocks)

    # Decoding

    def opened(self, buffer_refs: Refs | None, block: int, body: memoryview) -> tuple[memoryview, list[memoryview]]:
        """The stream of a frame and its buffers, read-only. Raises ValueError for refs into a missing arena."""
        if buffer_refs is None:
            return body, []
        stream, *buffers = (self._view(ref, block, body) for ref in buffer_refs)
        return stream, buffers

    def _view(self, ref: Ref, block: int, body: memoryview) -> memoryview:
        owner, offset, length = ref
        if owner != PIPE:
            if self._arena is None or block < 0:
                raise ValueError("a frame refers to an arena, and there is none")
            return self._arena.view(block, Ref(owner, offset, length)).toreadonly()
        part = body[offset : offset + length]
        # The pipe reuses its buffer; only larger payloads have memory of their own.
        return part.toreadonly() if len(body) > ROOM else memoryview(bytes(part))

    def records(self, buffer_refs: Refs | None, block: int, body: memoryview) -> list[Any]:
        """The records of a frame. Raises whatever unpickling raises."""
        stream, buffers = self.opened(buffer_refs, block, body)
        self._came = None
        found: list[Any] = pickle.loads(stream, buffers=buffers)
        if (
            buffer_refs is not None
            and type(found) is list
            and not buffers
            and buffer_refs[0].owner != PIPE
            and len(found) * ROOMY <= buffer_refs[0].length
        ):
            self._remember(found, block, buffer_refs[0])
        return found

    def _remember(self, records: list[Any], block: int, ref: Ref) -> None:
        """Remember immutable records for `_unchanged`, in a copy of the list: a batch stage may change the list."""
        if UNCHANGING.issuperset(map(type, records)):
            self._came = tuple(records), block, ref


# Pickling


LARGEST = 2**18
"""Bytes of a pickle above which the pickler is replaced. No frame of small records is larger."""

SHRUNK = 8
"""The pickler is also replaced if a pickle is this many times smaller than its largest."""

BYTEARRAY, EMPTY = b"\x96", b"\0\0\0"
"""The opcode of a bytearray in a pickle, and the last bytes of its length: it has eight, and no array fills five."""


class Strange(Exception):
    """A value isn't plain: it holds something other than JSON types, bytes, tuples and sets."""


class _Plain(pickle.Pickler):
    """A pickler that refuses values that aren't plain. `reducer_override` is free: it is called only for those."""

    def reducer_override(self, value: Any) -> Any:
        raise Strange


class Pickling:
    """Pickles values one after the other, each as `pickle.dumps` would.

    aside: pickle's buffer_callback; returns False for a buffer that goes out of band. plain: raise Strange for values
    that aren't plain.
    """

    def __init__(self, aside: Callable[[pickle.PickleBuffer], Any] | None = None, *, plain: bool = False) -> None:
        self._aside = aside
        self._plain = plain
        self._parts: list[bytes] = []
        self._largest = 0
        self._pickler = self._new()

    def _new(self) -> pickle.Pickler:
        return (_Plain if self._plain else pickle.Pickler)(self, 5, buffer_callback=self._aside)

    def write(self, data: Any) -> int:
        """Called by the pickler: nearly always once, with everything. Large bytes come separately, uncopied."""
        self._parts.append(data if type(data) is bytes else bytes(data))
        return len(data)

    def parts(self, value: Any) -> list[bytes]:
        """The pickle of a value, in parts. Raises whatever pickling raises, and Strange."""
        self._parts = []
        try:
            self._pickler.dump(value)
            parts = self._parts
        finally:
            self._parts = []
            self._pickler.clear_memo()  # now: it keeps the records alive, whose memory the next frame can reuse
        if self._plain and any(map(_may_hold_bytearray, parts)):
            raise Strange
        size = sum(map(len, parts))
        if size > LARGEST or size * SHRUNK < self._largest:
            self._pickler, self._largest = self._new(), 0
        elif size > self._largest:
            self._largest = size
        return parts

    def __call__(self, value: Any) -> bytes:
        """The pickle of a value. Raises what `parts` does."""
        parts = self.parts(value)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _may_hold_bytearray(part: bytes) -> bool:
    """Whether part of a pickle looks as if it had a bytearray in it. Numbers and text may look the same."""
    at = part.find(BYTEARRAY)
    while at >= 0:
        if part[at + 6 : at + 9] == EMPTY:
            return True
        at = part.find(BYTEARRAY, at + 1)
    return False


def packing() -> Callable[[list[Any], bool], bytes]:
    """A function (records, plain) → pickle. With `plain` it raises Strange for values that aren't plain."""
    only_plain, anything = Pickling(plain=True), Pickling()
    return lambda records, plain: only_plain(records) if plain else anything(records)
