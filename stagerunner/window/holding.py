"""What the parent holds of results: how much of them it reads, and when it takes no more.

    links ──▶ held, whole or in part: the window's bytes ──▶ taken, in turn ──▶ waiting for a slow reader: PATIENT

What isn't read stays in the pipes, and the workers wait there. The link whose turn it is is read in any case until a
frame of it is here, so the lowest unfinished frame always moves; it is taken as soon as whoever has the results has
room.
"""

from __future__ import annotations

CHARGE = 1024
"""Bytes that a frame is charged besides its own: many tiny ones are held by what they take, not by what they say."""

PATIENT = 2**20
"""Bytes accepted and not yet gone, to a slow reader or the caller, beyond which nothing more is taken."""


class Holding:
    """Frames that are here and not taken. limit: in bytes of results; charge: of each frame besides."""

    def __init__(self, limit: int, charge: int = CHARGE) -> None:
        self.bytes = 0
        self._limit = limit
        self._charge = charge

    @property
    def full(self) -> bool:
        return self.bytes >= self._limit

    def begun(self, size: int) -> None:
        """Memory was taken for so many bytes of a frame that is not here yet, or (less than 0) it is used now."""
        self.bytes += size

    def came(self, size: int) -> None:
        self.bytes += size + self._charge

    def taken(self, size: int) -> None:
        self.bytes -= size + self._charge

    def reads(self, *, due: bool, here: bool) -> bool:
        """Whether a link is to be read. due: it is its turn; here: a frame of it waits to be taken."""
        return not self.full or (due and not here)
