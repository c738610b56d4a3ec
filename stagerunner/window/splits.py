"""What the window holds: kept splits, frames on their way, and what it decides about frames that come back."""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct, field

from stagerunner.records import TO_THE_END, QuarantineKey

FLUSHES = 2**48
"""Split number of the first stage's flush: behind all splits, and the same each time the source is read."""


class Disposition(Enum):
    """What happens to a frame that came back."""

    ACCEPT = "accept"
    """Its results, failures and counts are new."""
    DROP = "drop"
    """All of it was accepted before, or lies behind the stop."""


class ProtocolFault(Exception):
    """A frame broke the protocol: the epoch is lost."""


class Kept(Struct):
    """A split that the parent keeps.

    payload: what a worker needs to read it. size: bytes it stands for. position: where the source goes on behind it.
    flush: the stage whose flush this is, or -1. records: about how many it has; end: the number of its source records,
    once known. accepted: source records accepted so far. before: those of them that an earlier run accepted. done: all
    of them. marked: the source can be read again only from a mark: `position` is the mark right behind the split, or
    None. beyond: it lies behind the stop and is dropped. edge: the source record at which its frames are cut; some sink
    has had the results before it. quarantined: records never to be tried again, and their
    failures.
    """

    number: int
    payload: Any
    size: int
    position: Any = None
    flush: int = -1
    records: int = 1
    end: int = TO_THE_END
    accepted: int = 0
    before: int = 0
    done: bool = False
    marked: bool = False
    beyond: bool = False
    edge: int | None = None
    quarantined: dict[QuarantineKey, tuple[str, str]] = field(default_factory=dict)


class Sent(Struct):
    """A frame on its way: source records first ≤ i < last of a kept split; `split` is None for a barrier or skip frame.

    reached: the source record up to which its pieces came back.
    """

    sequence: int
    kind: int
    split: Kept | None
    first: int = 0
    last: int = TO_THE_END
    disposition: Disposition = Disposition.ACCEPT
    marked: bool = False
    reached: int = 0


class Received(Struct, frozen=True):
    """What the window decides about a frame or piece that came back.

    final: it was the last piece of its frame. finished: its split is now done. fatal: a failure in it ends the run,
    even if its records were accepted before and a stage now fails one.
    """

    disposition: Disposition
    sent: Sent
    final: bool
    finished: bool
    fatal: bool = False


# A limit


class Limit:
    """`--limit`: a split is sent if it can't exceed the limit; else it is sent alone, cut at what is left."""

    def __init__(self, records: int | None) -> None:
        self._records = records
        self._taken = 0
        self._outstanding = 0

    @property
    def reached(self) -> bool:
        return self._records is not None and self._taken >= self._records

    @property
    def left(self) -> int:
        """How many records may still be sent, if every split on its way has as many as it can hold."""
        return TO_THE_END if self._records is None else self._records - self._taken - self._outstanding

    def may_go(self, most: int | None, *, alone: bool) -> int | None:
        """The `last` to send a split with; None if it must wait. alone: nothing else is on its way."""
        if self._records is None or (most is not None and most <= self.left):
            return TO_THE_END
        return self.left if alone and self.left > 0 else None

    def moves(self, records: int | None) -> None:
        """From now on the limit is another one."""
        self._records = records

    def sent(self, most: int | None) -> None:
        self._outstanding += most or 0

    def came(self, taken: int) -> None:
        """So many source records were accepted."""
        self._taken += taken

    def settled(self, most: int | None) -> None:
        """A split is wholly accepted."""
        self._outstanding -= most or 0
