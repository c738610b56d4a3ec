"""The split source of `source:` as a list: each part gives its splits when its turn comes.

A position says which part, and where in it: {"part": 1, "at": …}; for a stream also how many records came before.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any

from stagerunner.evaluate.source_list import Piece
from stagerunner.parts.source import Want
from stagerunner.records import Origin
from stagerunner.runtime.input import MarkedSource, PendingSplit, Rereadable, SplitSource

Make = Callable[[Any, int], SplitSource]
"""(position in the part or None, records that it gave before) → its split source."""


class PartsInOrder(MarkedSource, Rereadable):
    """One part after the other. names: of the parts, for records whose part doesn't say where they stand.

    after: the position at which a resumed run goes on. rereads: every part can be read again.
    """

    def __init__(self, parts: Sequence[Make], names: Sequence[str], after: Any, *, marks: bool, rereads: bool) -> None:
        super().__init__(marks=marks)
        self._parts = parts
        self._names = names
        self._after = after or {"part": 0, "at": None}
        self.can_rewind = rereads
        self._remembers = self._closed = False
        self._made: dict[int, SplitSource] = {}
        self._begin(self._after["part"], self._after["at"], self._after.get("before", 0))

    def _begin(self, part: int, at: Any = None, before: int = 0) -> None:
        """Begin with a part, or with it again."""
        self._part, self._given = part, before
        made = self._made.get(part)
        if made is None:
            made = self._made[part] = self._parts[part](at, before)
            if self._remembers and isinstance(made, Rereadable):
                made.remember()
        self._now = made
        if isinstance(made, MarkedSource):
            made.late_mark = lambda position: self.late_mark(self._position(position))

    def _position(self, at: Any) -> Any:
        before = {"before": self._given} if isinstance(self._now, MarkedSource) else {}
        return {"part": self._part, "at": at, **before}

    @property
    def error(self) -> BaseException | None:
        return self._now.error

    @error.setter
    def error(self, error: BaseException | None) -> None:
        self._now.error = error

    @property
    def ended(self) -> bool:
        last = self._part + 1 == len(self._parts)
        return self._closed or (self._now.ended and (last or self._now.error is not None))

    @property
    def prompt(self) -> bool:
        return self._now.prompt or self._now.ended

    def next(self, want: Want) -> PendingSplit | None:
        while not self.ended:
            if (pending := self._now.next(want)) is not None:
                return self._wrapped(pending)
            if not self._now.ended or self.ended:
                return None
            if not isinstance(self._now, Rereadable):  # splits of the others may be sent again, up to the end
                self._now.close()
            self._begin(self._part + 1)
            if self.marks:
                self.late_mark(self._position(None))
        return None

    def _wrapped(self, pending: PendingSplit) -> PendingSplit:
        if pending.base is not None and pending.most is not None:
            self._given = pending.base + pending.most
        if pending.position is not None or not pending.marked:
            pending.position = self._position(pending.position)
        pending.place = (self._part, pending.place)
        pending.payload = pickle.dumps(Piece(self._part, pending.payload), 5)
        return pending

    def locate(self, payload: bytes, base: int | None, record: int, place: Any = None) -> Origin:
        if place is None:
            return Origin("", None, record)
        part, inner = place
        found = self._made[part].locate(pickle.loads(payload).payload, base, record, inner)
        return found if found.name else found._replace(name=self._names[part])

    def total(self) -> int | None:
        return None

    def remember(self) -> None:
        """Keep how each split was cut, for `rewind`."""
        self._remembers = True
        for made in self._made.values():
            if isinstance(made, Rereadable):
                made.remember()

    def rewind(self) -> None:
        """Begin again at the beginning, with the same cuts."""
        for made in self._made.values():
            if isinstance(made, Rereadable):
                made.rewind()
        self._closed = False
        self._begin(self._after["part"], self._after["at"])

    def close(self) -> None:
        """End the process of every part that was begun."""
        self._closed = True
        for made in self._made.values():
            made.close()
