"""The parent's part of the memory lane: it alone gives places away, and knows when they are free again.

split ──▶ a place, if frames are heavy and one is free ──▶ workers ──▶ accepted ──▶ free, once nobody holds a buffer
"""

from __future__ import annotations

from typing import Any

from stagerunner.tuples import NamedTuple
from stagerunner.window.splits import Sent
from stagerunner.wire.arena import FROM, PIPE, PLACES, SPAN, Lane, Ref
from stagerunner.wire.metadata import Notes
from stagerunner.wire.payload import Cargo, Refs

BUDGET = 32 * 2**20
"""Bytes of one owner's slots in use: with more, arrays leave the cache before the next stage looks at them."""

FEWEST = 2
PATIENCE = 64
"""Light frames in a row after which no places are given any more."""


class Loaded(NamedTuple):
    """Records of a split, pickled: the part that goes by the pipe, and where the rest lies."""

    body: bytes
    laden: Refs
    place: int
    room: int

    @property
    def size(self) -> int:
        return sum(ref.length for ref in self.laden)


class Space:
    """A place while it is being loaded (chain.cargo.Berth)."""

    def __init__(self, place: int, room: int) -> None:
        self.place, self.room, self.used = place, room, 0


NOWHERE = Space(-1, 0)
"""No place: nothing is ever used of it, so one will do."""


class Places:
    """Who has which place in this epoch."""

    def __init__(self) -> None:
        self._room = self._light = 0
        self.begin(None)

    def begin(self, lane: Lane | None) -> None:
        """A new epoch, and with it a new lane, or none. What was in the one before has been landed."""
        self._lane = lane
        self._cargo = Cargo(lane, 0)
        self._idle = list(range(PLACES))[::-1]
        self._on_way: dict[int, int] = {}
        self._held: dict[tuple[int, int], tuple[int, ...]] = {}

    # Out

    @property
    def crowded(self) -> bool:
        """Frames are heavy, and the next place comes free when a frame on its way is back: better wait for that."""
        return bool(self._room and self._on_way) and self._free() is None

    def load(self, records: list[Any], plain: bool = False) -> bytes | Loaded:
        """Pickle records of the caller's, into a place if they are heavy. Raises what pickling raises.

        plain: raises Strange for others than plain ones.
        """
        known = bool(self._room)
        loaded = self._load(records, plain)
        if known or self._cargo.heavy:
            self.learn(self._cargo.heavy)
        if self._room and not known:
            loaded = self._load(records, plain)  # the first heavy ones; now it is known how much room they take
        return loaded

    def _load(self, records: list[Any], plain: bool) -> bytes | Loaded:
        space = self._cargo.berth = self._space() if self._room else NOWHERE
        try:
            body = self._cargo(records, plain)
        except BaseException:
            self._give_back(space.place)
            raise
        if self._cargo.laden is None:
            self._give_back(space.place)
            return body
        self._cargo.keep()
        return Loaded(body, self._cargo.laden, space.place, space.room)

    def unload(self, payload: Any) -> None:
        """Records that were loaded are not sent."""
        if isinstance(payload, Loaded):
            self._give_back(payload.place)

    def wanted(self, payload: Any) -> bool:
        """Whether a frame with this payload might be given a place, or has one."""
        return bool(self._room) or isinstance(payload, Loaded)

    def outgoing(self, sent: Sent, payload: Any, notes: Notes) -> bytes:
        """The body of a frame to send; where it lies, and where its workers may put theirs, goes into the notes."""
        if isinstance(payload, Loaded):
            notes.place, notes.room, notes.laden = payload.place, payload.room, payload.laden
            body = payload.body
        else:
            space = self._space() if self._room and not sent.marked else NOWHERE
            notes.place, notes.room = space.place, space.room
            body = payload
        if notes.place >= 0:
            self._on_way[sent.sequence] = notes.place
        return body

    def _space(self) -> Space:
        place = self._free()
        if place is None:
            return NOWHERE
        self._idle.remove(place)
        return Space(place, self._room)

    def _free(self) -> int | None:
        """A place that is in nobody's hands, the one used last if it can be."""
        if self._lane is None or PLACES - len(self._idle) >= max(FEWEST, min(PLACES, BUDGET // self._room)):
            return None
        kept = {place for places in self._held.values() for place in places}
        return next((p for p in reversed(self._idle) if p not in kept and not self._lane.held((p,))), None)

    def _give_back(self, place: int) -> None:
        if place >= 0:
            self._idle.append(place)

    # Back

    def opened(self, notes: Notes, body: memoryview) -> tuple[memoryview, list[memoryview]]:
        """What came back: bytes, or a pickle and its buffers. Whoever keeps a buffer keeps the place."""
        return self._cargo.opened(notes.laden, notes.place, body)

    def back(self, sequence: int, notes: Notes) -> None:
        """The last piece of a frame has come back."""
        self._give_back(self._on_way.pop(sequence, -1))
        if notes.held:
            self._held |= notes.held
        self.learn(notes.heavy)

    def learn(self, heavy: int) -> None:
        """A frame wanted so many bytes of a slot."""
        if heavy >= FROM:
            self._light = 0
            self._room = min(SPAN, max(self._room - self._room // 16, heavy + heavy // 8 + FROM))
        elif self._room:
            self._light += 1
            if self._light > PATIENCE:
                self._room = 0

    def landed(self, payload: Any) -> Any:
        """A split's payload without a place: what lies in the lane is copied, so that the place is free for others."""
        if not isinstance(payload, Loaded) or payload.place < 0:
            return payload
        views = self._cargo.opened(payload.laden, payload.place, memoryview(payload.body))
        parts, refs, at = [views[0], *views[1]], [], 0
        for part in parts:
            refs.append(Ref(PIPE, at, part.nbytes))
            at += part.nbytes
        return Loaded(b"".join(parts), refs, -1, 0)
