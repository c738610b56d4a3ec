"""The parent's part of the arena: it alone gives out blocks, and knows when they are free again.

split ──▶ a block, if frames are heavy and one is free ──▶ workers ──▶ accepted ──▶ free, once no buffer is in use
"""

from __future__ import annotations

from typing import Any

from stagerunner.tuples import NamedTuple
from stagerunner.window.splits import Sent
from stagerunner.wire.arena import BLOCKS, FROM, PIPE, SPAN, Arena, Ref
from stagerunner.wire.frame import Metadata
from stagerunner.wire.payload import PayloadCodec, Refs

BUDGET = 32 * 2**20
"""Bytes of one stage's segments in use: with more, arrays leave the cache before the next stage reads them."""

FEWEST = 2
PATIENCE = 64
"""Light frames in a row after which no blocks are given out."""


class Loaded(NamedTuple):
    """Records of a split, pickled: the part for the pipe, and references to the rest in the arena."""

    body: bytes
    buffer_refs: Refs
    block: int
    room: int

    @property
    def size(self) -> int:
        return sum(ref.length for ref in self.buffer_refs)


class Space:
    """A block while it is being loaded (wire.payload.SegmentWriter)."""

    def __init__(self, block: int, room: int) -> None:
        self.block, self.room, self.used = block, room, 0


NOWHERE = Space(-1, 0)
"""No block. Nothing is ever written to it, so one instance will do."""


class Blocks:
    """Which frame has which block in this epoch."""

    def __init__(self) -> None:
        self._room = self._light = 0
        self.used = False
        """Whether any frame of this run was heavy: until then no block was given out."""
        self.begin(None)

    def begin(self, arena: Arena | None) -> None:
        """A new epoch with a new arena, or none. Payloads in the old arena were copied by `landed`."""
        self._arena = arena
        self._codec = PayloadCodec(arena, 0)
        self._idle = list(range(BLOCKS))[::-1]
        self._on_way: dict[int, int] = {}
        self._held: dict[tuple[int, int], tuple[int, ...]] = {}

    # Out

    @property
    def crowded(self) -> bool:
        """Frames are heavy and no block is free: wait for a frame on its way."""
        return bool(self._room and self._on_way) and self._free() is None

    def load(self, records: list[Any], plain: bool = False) -> bytes | Loaded:
        """Pickle the caller's records, into a block if they are heavy. Raises what pickling raises.

        plain: raises Strange for records that are not of plain types.
        """
        known = bool(self._room)
        loaded = self._load(records, plain)
        if known or self._codec.heavy:
            self.learn(self._codec.heavy)
        if self._room and not known:
            loaded = self._load(records, plain)  # the first heavy records: now their size is known
        return loaded

    def _load(self, records: list[Any], plain: bool) -> bytes | Loaded:
        space = self._codec.segment = self._space() if self._room else NOWHERE
        try:
            body = self._codec(records, plain)
        except BaseException:
            self._give_back(space.block)
            raise
        if self._codec.buffer_refs is None:
            self._give_back(space.block)
            return body
        self._codec.keep()
        return Loaded(body, self._codec.buffer_refs, space.block, space.room)

    def unload(self, payload: Any) -> None:
        """Give back the block of loaded records that are not sent."""
        if isinstance(payload, Loaded):
            self._give_back(payload.block)

    def wanted(self, payload: Any) -> bool:
        """Whether a frame with this payload has a block, or may get one."""
        return bool(self._room) or isinstance(payload, Loaded)

    def outgoing(self, sent: Sent, payload: Any, metadata: Metadata) -> bytes:
        """The body of a frame to send. Sets the frame's block in the metadata."""
        if isinstance(payload, Loaded):
            metadata.block, metadata.room, metadata.buffer_refs = payload.block, payload.room, payload.buffer_refs
            body = payload.body
        else:
            space = self._space() if self._room and not sent.marked else NOWHERE
            metadata.block, metadata.room = space.block, space.room
            body = payload
        if metadata.block >= 0:
            self._on_way[sent.sequence] = metadata.block
        return body

    def _space(self) -> Space:
        block = self._free()
        if block is None:
            return NOWHERE
        self._idle.remove(block)
        return Space(block, self._room)

    def _free(self) -> int | None:
        """A block that is not in use, the last used one if possible."""
        if self._arena is None or BLOCKS - len(self._idle) >= max(FEWEST, min(BLOCKS, BUDGET // self._room)):
            return None
        kept = {block for blocks in self._held.values() for block in blocks}
        return next((p for p in reversed(self._idle) if p not in kept and not self._arena.held((p,))), None)

    def _give_back(self, block: int) -> None:
        if block >= 0:
            self._idle.append(block)

    # Back

    def opened(self, metadata: Metadata, body: memoryview) -> tuple[memoryview, list[memoryview]]:
        """A body that came back: bytes, or a pickle and its buffers. A buffer in use keeps the block."""
        return self._codec.opened(metadata.buffer_refs, metadata.block, body)

    def back(self, sequence: int, metadata: Metadata) -> None:
        """The last piece of a frame has come back."""
        self._give_back(self._on_way.pop(sequence, -1))
        if metadata.held:
            self._held |= metadata.held
        self.learn(metadata.heavy)

    def learn(self, heavy: int) -> None:
        """A frame needed so many bytes of a segment: adapt the room given to the next ones."""
        if heavy >= FROM:
            self._light, self.used = 0, True
            self._room = min(SPAN, max(self._room - self._room // 16, heavy + heavy // 8 + FROM))
        elif self._room:
            self._light += 1
            if self._light > PATIENCE:
                self._room = 0

    def landed(self, payload: Any) -> Any:
        """A payload without a block: what lies in the arena is copied."""
        if not isinstance(payload, Loaded) or payload.block < 0:
            return payload
        views = self._codec.opened(payload.buffer_refs, payload.block, memoryview(payload.body))
        parts, refs, at = [views[0], *views[1]], [], 0
        for part in parts:
            refs.append(Ref(PIPE, at, part.nbytes))
            at += part.nbytes
        return Loaded(b"".join(parts), refs, -1, 0)
