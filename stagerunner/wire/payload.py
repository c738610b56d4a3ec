"""What a frame carries: records as bytes, with large buffers beside them, in the lane where the frame has a place.

    records ── pickle 5 ──▶ stream, buffers from 64 KiB on ──▶ own slot of the frame's place │ else behind the stream
    buffers that already lie in the place (forwarded) stay where they are: only where is told, in notes.laden

`bytes` never go out of band in pickle 5, so a stream from 64 KiB on goes into the slot whole. Buffers come read-only,
by whichever road: whoever wants to write makes a copy. A stream of large values that nobody can have changed, and that
leave as they came before others come, stays where it is too (8 MB of bytes through three stages: five copies instead
of eight).
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable, Sequence
from operator import is_
from typing import Any, Protocol

from stagerunner.evaluate.growth import TooLarge
from stagerunner.wire.arena import ALIGN, FROM, PIPE, Lane, Ref
from stagerunner.wire.pickling import Pickling
from stagerunner.wire.pipe import ROOM

Refs = list[Ref]
"""Where a frame's bytes lie: the stream first, then its buffers in the order pickle wants them."""

UNCHANGING = frozenset((bytes, str, int, float, complex, bool, type(None)))
"""Types whose values stay what they are."""

ROOMY = 4096
"""Bytes a record should take on average to be looked at again: that then costs nothing beside its copy."""


class Berth(Protocol):
    """A frame's place. place: -1 for none; room: bytes of each slot; used: bytes of our own slot that are taken."""

    place: int
    room: int
    used: int


class NoBerth:
    place, room, used = -1, 0, 0


class Cargo:
    """Encodes and decodes the bodies of frames for one owner. Set `berth` to the frame's before encoding.

    laden, size, heavy: of what was encoded last: where it lies (None: all of it in the body), its bytes in all, and
    the bytes that went into our slot or would have, had there been room.
    """

    def __init__(self, lane: Lane | None, owner: int) -> None:
        self.berth: Berth = NoBerth()
        self.laden: Refs | None = None
        self.size = self.heavy = 0
        self.most = sys.maxsize
        """Bytes that may be encoded at once."""
        self._lane = lane
        self._owner = owner
        self._buffers: list[memoryview] = []
        self._came: tuple[tuple[Any, ...], int, Ref] | None = None
        """Unchanging records that came last, the place they came in, and where their stream lies in it."""
        self._pickling = Pickling(self._set_aside)
        self._plainly: Pickling | None = None
        self._top = 0

    def _set_aside(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether this buffer stays in the stream: a small one, or one that isn't contiguous."""
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < FROM:
            return True
        self._buffers.append(raw)
        return False

    # Out

    def __call__(self, records: list[Any], plain: bool = False) -> bytes:
        """The body of a frame with these records. Raises what pickling raises, and TooLarge.

        plain: raises Strange for others than plain ones.
        """
        if self._came is not None and self._unchanged(records):
            return b""
        self._buffers.clear()
        try:
            parts = (self._for_plain() if plain else self._pickling).parts(records)
            if self._buffers or len(parts) > 1 or len(parts[0]) >= FROM:
                return self._loaded(parts, self._buffers)
            self.size, self.laden = len(parts[0]), None  # nothing for the lane, as a rule
            if self.size > self.most:
                raise TooLarge(self.size, self.most)
            self.heavy = self._top = self.berth.used
            return parts[0]
        finally:
            self._buffers.clear()

    def _for_plain(self) -> Pickling:
        if self._plainly is None:
            self._plainly = Pickling(self._set_aside, plain=True)
        return self._plainly

    def _unchanged(self, records: list[Any]) -> bool:
        """Whether these are the very values that came; their stream then goes on from where it lies."""
        assert self._came is not None
        (came, place, ref), self._came = self._came, None
        if place != self.berth.place or len(records) != len(came) or not all(map(is_, records, came)):
            return False
        self.size, self.laden = ref.length, [ref]
        self.heavy = self._top = self.berth.used
        return True

    def body(self, data: Any) -> Any:
        """The body of a frame whose content is bytes already: the same bytes, or none if they lie in the lane."""
        self._came = None
        self.laden, self.size = None, len(data)
        self.heavy = self._top = self.berth.used
        ref = self._shipped([memoryview(data).cast("B")], len(data)) if len(data) >= FROM else None
        if ref is None:
            return data
        self.laden = [ref]
        return b""

    def keep(self) -> None:
        """What was encoded last is sent: what comes next in this frame lies behind it."""
        self.berth.used = self._top

    def _loaded(self, stream: Sequence[bytes | memoryview], buffers: list[memoryview]) -> bytes:
        length = sum(map(len, stream))
        self.size = length + sum(map(len, buffers))
        if self.size > self.most:
            raise TooLarge(self.size, self.most)
        self.heavy = self._top = self.berth.used
        head = self._shipped(stream, length) if length >= FROM else None
        laden = [head or Ref(PIPE, 0, length)]
        body = [] if head else list(stream)
        behind = 0 if head else length
        for raw in buffers:
            ref = self._forwarded(raw) or self._shipped([raw], raw.nbytes)
            if ref is None:
                ref = Ref(PIPE, behind, raw.nbytes)
                behind += raw.nbytes
                body.append(raw)
            laden.append(ref)
        self.laden = laden if buffers or head else None
        if len(body) == 1 and type(body[0]) is bytes:
            return body[0]
        return b"".join(body)

    def _forwarded(self, raw: memoryview) -> Ref | None:
        if self._lane is None or self.berth.place < 0:
            return None
        return self._lane.find(self.berth.place, raw)

    def _shipped(self, parts: Sequence[bytes | memoryview], length: int) -> Ref | None:
        """Copy into our own slot behind what is there; None if there is no room."""
        self.heavy += length + ALIGN
        start = -(-self._top // ALIGN) * ALIGN
        if self._lane is None or self.berth.place < 0 or start + length > self.berth.room:
            return None
        ref = Ref(self._owner, start, length)
        slot = self._lane.view(self.berth.place, ref)
        at = 0
        for part in parts:
            slot[at : at + len(part)] = part
            at += len(part)
        self._top = start + length
        return ref

    def empty(self, length: int) -> memoryview | None:
        """Writable bytes of our own slot; None if there is no room."""
        start = -(-self.berth.used // ALIGN) * ALIGN
        if self._lane is None or self.berth.place < 0 or start + length > self.berth.room:
            return None
        self.berth.used = start + length
        return self._lane.view(self.berth.place, Ref(self._owner, start, length))

    def held(self, places: Iterable[int]) -> tuple[int, ...]:
        """Those of these places of which somebody here holds a buffer."""
        return () if self._lane is None else self._lane.held(places)

    # In

    def opened(self, laden: Refs | None, place: int, body: memoryview) -> tuple[memoryview, list[memoryview]]:
        """The stream of a frame and its buffers, read-only. Raises ValueError for what can't be."""
        if laden is None:
            return body, []
        stream, *buffers = (self._view(ref, place, body) for ref in laden)
        return stream, buffers

    def _view(self, ref: Ref, place: int, body: memoryview) -> memoryview:
        owner, offset, length = ref
        if owner != PIPE:
            if self._lane is None or place < 0:
                raise ValueError("a frame says that it lies in a lane, and there is none")
            return self._lane.view(place, Ref(owner, offset, length)).toreadonly()
        part = body[offset : offset + length]
        # Only a payload too large for the link's own buffer has memory of its own.
        return part.toreadonly() if len(body) > ROOM else memoryview(bytes(part))

    def records(self, laden: Refs | None, place: int, body: memoryview) -> list[Any]:
        """The records of a frame. Raises what unpickling raises."""
        stream, buffers = self.opened(laden, place, body)
        self._came = None
        found: list[Any] = pickle.loads(stream, buffers=buffers)
        if laden is not None and not buffers and laden[0].owner != PIPE and len(found) * ROOMY <= laden[0].length:
            self._remember(found, place, laden[0])
        return found

    def _remember(self, records: list[Any], place: int, ref: Ref) -> None:
        """A copy of the list is kept, for a stage that is given lists may change its own."""
        if UNCHANGING.issuperset(map(type, records)):
            self._came = tuple(records), place, ref
