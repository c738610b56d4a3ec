"""`--limit N`: exactly N source records, though nobody knows how many a split holds before it was read."""

from __future__ import annotations

from stagerunner.records import TO_THE_END


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
