"""How much of the results the parent holds, and when it reads no more.

    pipes ──▶ held, whole or in part: the window's bytes ──▶ received in turn ──▶ waiting for a reader: MOST_WAITING

What is not read stays in the pipes, and workers block. The pipe whose turn it is is always read until a frame of it is
here: so the lowest unfinished frame always moves. The frame is received once the result writer has room.
"""

from __future__ import annotations

CHARGE = 1024
"""Bytes charged for each frame besides its payload: tiny frames take memory too."""

MOST_WAITING = 2**20
"""Accepted bytes that wait for a slow reader or the caller; beyond, no frame is received."""


class Holding:
    """Bytes of frames that are here and not received. limit: bytes. charge: for each frame besides its payload."""

    def __init__(self, limit: int, charge: int = CHARGE) -> None:
        self.bytes = 0
        self._limit = limit
        self._charge = charge

    @property
    def full(self) -> bool:
        return self.bytes >= self._limit

    def begun(self, size: int) -> None:
        """So many bytes were allocated for a frame that is not here whole; less than 0: released."""
        self.bytes += size

    def came(self, size: int) -> None:
        self.bytes += size + self._charge

    def taken(self, size: int) -> None:
        self.bytes -= size + self._charge

    def reads(self, *, due: bool, here: bool) -> bool:
        """Whether to read a pipe. due: it is its turn. here: a frame of it is here already."""
        return not self.full or (due and not here)
