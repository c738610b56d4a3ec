"""What the window holds: splits as they are kept, frames as they were sent, and what is said of what comes back."""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct, field

from stagerunner.records import TO_THE_END, QuarantineKey

FLUSHES = 2**48
"""Number of the first stage's flush, as a split: the same in every reading of the source, and behind all of it."""


class Disposition(Enum):
    """What becomes of something that came back."""

    ACCEPT = "accept"
    """Its results are new: take them, failures and counts included."""
    COUNTS = "counts"
    """Its results were taken in an earlier epoch; only its counts are still missing."""
    DROP = "drop"
    """All of it was taken before, or lies behind the stop."""


class ProtocolFault(Exception):
    """Something came back that can't be: the epoch is lost."""


class Kept(Struct):
    """A split as the parent keeps it.

    payload: what a worker needs to read it. size: bytes it stands for. position: where the source goes on after it.
    flush: the stage whose flush this is, or -1. end: the number of its source records, once known.
    accepted: source records taken so far. counted: those whose counts were taken too. done: all are.
    beyond: it lies behind the stop; nobody wants it.
    quarantined: records not to be tried again, and why.
    """

    number: int
    payload: Any
    size: int
    position: Any = None
    flush: int = -1
    end: int = TO_THE_END
    accepted: int = 0
    counted: int = 0
    done: bool = False
    beyond: bool = False
    quarantined: dict[QuarantineKey, tuple[str, str]] = field(default_factory=dict)


class Sent(Struct):
    """A frame on its way: source records first ≤ i < last of a kept split, or a barrier (then `split` is None).

    fatal: a piece of it brought a failure that ends the run; what still comes of it are its counts.
    """

    sequence: int
    kind: int
    split: Kept | None
    first: int = 0
    last: int = TO_THE_END
    disposition: Disposition = Disposition.ACCEPT
    marked: bool = False
    reached: int = 0
    fatal: bool = False


class Taken(Struct, frozen=True):
    """What the window says of a piece that came back. `finished`: the split it belongs to is now done. `fatal`: a
    failure in it ends the run, even if its records were taken before: a stage has changed its mind about one."""

    disposition: Disposition
    sent: Sent
    final: bool
    finished: bool
    fatal: bool = False


# A limit


class Limit:
    """A split may go when it can't pass the limit whatever it holds; else alone, cut at what is left."""

    def __init__(self, records: int | None) -> None:
        self._records = records
        self._taken = 0
        self._outstanding = 0

    @property
    def reached(self) -> bool:
        return self._records is not None and self._taken >= self._records

    def may_go(self, most: int | None, *, alone: bool) -> int | None:
        """The `last` to send a split with, or None if it has to wait. `alone`: nothing else is on its way."""
        if self._records is None:
            return TO_THE_END
        left = self._records - self._taken - self._outstanding
        if most is not None and most <= left:
            return TO_THE_END
        return left if alone and left > 0 else None

    def sent(self, most: int | None) -> None:
        self._outstanding += most or 0

    def came(self, taken: int) -> None:
        """So many source records were taken."""
        self._taken += taken

    def settled(self, most: int | None) -> None:
        """A split that was sent is wholly taken."""
        self._outstanding -= most or 0
