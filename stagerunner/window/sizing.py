"""How large the next frame should be: small first, then about 30 ms in the slowest worker, never beyond the caches.

Figures from measurements on the real chain (docs/decisions.md): a chain of three is quickest with 1,500 to 2,400 of the
smallest records a frame, that is with 56 KiB of them or more, with 500 to 2,400 of 95 bytes, and with 256 KiB of those
of 1 KB; file ranges gain up to 256 KiB; a frame should last 10 to 30 ms in the slowest stage, so that skew is absorbed
by frames in hand and the end of a run idles nobody for long.
"""

from __future__ import annotations

FIRST = 16
"""Records in the first frame: the first result comes soon."""

LONGEST = 30e6
"""Nanoseconds a frame should last in the slowest worker."""

FADING = 7 / 8
"""What a frame's time still counts when the next has come: now and then a record takes a hundred times as long, and a
frame that happened to have one says little of the next."""

WIDEST = 57344
"""Bytes a frame of the smallest records should have between workers. Pickle makes one piece of less than 64 KiB, and
such a frame needs no place in the arena."""

FEWEST = 600
"""Records a wider frame should hold, as long as it stays below RANGE: what a frame costs is then little for each."""

RANGE = 262144
"""Bytes of a file range at most."""

MOST = 4096
"""Records in a frame at most: beyond, nothing is gained and much is held."""

GROWTH = 4
"""A frame is at most this many times as large as the one before."""


class Sizing:
    """Learns from each frame that comes back. `fixed`: records per frame, whatever is learnt."""

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._records = float(fixed or FIRST)
        self._bytes_per_record = 0.0
        self._lately = (0.0, 0.0)
        """(records, nanoseconds in the slowest worker) of the frames seen, those before ever less."""
        self._most = MOST
        self._weighed = fixed is not None

    @property
    def records(self) -> int:
        """Records the next frame should hold: one, until it is known what one weighs."""
        return max(1, int(self._records)) if self._weighed else 1

    @property
    def lasting(self) -> float:
        """Nanoseconds the slowest worker should have to do with the next frame."""
        seen, spent = self._lately
        return self._records * spent / seen if seen else 0.0

    def weighed(self, records: int, size: int) -> None:
        """A frame is to be sent. Where its records are given (their number, else 0), no frame outgrows a file range."""
        self._weighed = True
        if self._fixed is None and records:
            self._records = min(self._records, max(1.0, RANGE * records / max(1, size)))

    @property
    def size(self) -> int:
        """Bytes of the source the next split should hold."""
        if not self._bytes_per_record:
            return 4096 if self._fixed is None else 512 * self._fixed
        return max(1, min(RANGE, int(self._records * self._bytes_per_record)))

    def cap(self, records: int) -> None:
        """A frame of more than `records` was too much for some worker's memory: stay below from now on."""
        self._most = min(self._most, records)
        self._records = min(self._records, self._most)

    def learn(self, records: int, size: int, slowest: int, widest: int, most: int = 0) -> None:
        """A frame of `records` source records and `size` bytes took `slowest` ns and was `widest` bytes wide.

        most: how many records came of them where that were most.
        """
        if records <= 0:
            return
        self._weighed = True
        self._bytes_per_record = size / records
        seen, spent = self._lately
        seen, spent = self._lately = seen * FADING + records, spent * FADING + max(1, slowest)
        if self._fixed is not None:
            return
        by_time = LONGEST * seen / spent
        by_bytes = records * _width(widest / max(records, most)) / widest if widest else float(MOST)
        self._records = max(1.0, min(by_time, by_bytes, self._most, self._records * GROWTH))


def _width(record: float) -> float:
    """Bytes a frame should have between workers, for records of so many."""
    return max(WIDEST, min(RANGE, FEWEST * record))
