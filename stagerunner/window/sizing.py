"""The size of the next frame: one record first, then about 30 ms in the slowest worker, never larger than the caches.

Measured (docs/decisions.md): a chain of three stages is quickest with 1,500 to 2,400 of the smallest records per frame
(56 KiB or more), with 500 to 2,400 records of 95 bytes, and with 256 KiB of records of 1 KB. File ranges gain up to
1 MiB, whatever their records. A frame should last 10 to 30 ms in the slowest stage: frames in hand then absorb skew,
and workers are not idle for long at the end of a run.
"""

from __future__ import annotations

from math import inf

LONGEST = 30e6
"""Nanoseconds a frame should last in the slowest worker."""

LONGEST_ROWS = 60e6
"""The same where records lie in columns all the way. A call for a batch has costs of its own, and on a busy machine, on
which everything takes longer, it would get ever fewer rows."""

FADING = 7 / 8
"""Weight that a frame's time keeps when the next one has come. Some records take a hundred times as long, and a frame
with one of them says little about the next."""

WIDEST = 57344
"""Bytes between workers that a frame of the smallest records should have. Below 64 KiB pickle makes one piece, and the
frame needs no block in the arena."""

FEWEST, WIDE = 600, 262144
"""Records that a wider frame should hold, up to WIDE bytes: the cost of a frame is then small for each record."""

RANGE = 2**20
"""The most bytes of a file range. What a frame costs besides its records is some 0.3 ms, as much as decoding 700 lines
of JSON."""

MOST = 8192
"""The most records in a frame: more would gain nothing and take memory."""

MOST_ROWS = 65536
"""The same where records lie in columns all the way."""

COLUMNS = 4 * 2**20
"""And the bytes that such a frame may have between workers: its cost is that of some calls for each column."""

LONG, COUNTING = 4096, 1.5
"""Records of so many bytes are counted where a file is cut only if, with all workers busy, so many nanoseconds pass for
each byte. To count them the parent looks at every byte, which takes 0.2."""

GROWTH = 2
"""A frame that came back allows the next one to be at most this many times as large."""


class Sizing:
    """Learns from each frame that comes back. fixed: always this many records per frame. least: never fewer.

    columns: records lie in columns all the way.
    """

    def __init__(self, fixed: int | None = None, least: int = 1, *, columns: bool = False) -> None:
        self._columns = columns
        self._fixed = fixed
        self._least = float(least)
        self._records = float(fixed or least)
        self.bytes_per_record = 0.0
        self._lately = (0.0, 0.0)
        """(records, nanoseconds in the slowest worker) of the frames seen, older ones weighted less."""
        self._most = MOST_ROWS if columns else MOST
        self._range = inf
        """Records in RANGE bytes, by the frame weighed last."""
        self.proven = fixed is not None
        """Whether a frame has come back: until then it isn't known what a record costs, and frames hold one."""

    @property
    def records(self) -> int:
        """Records the next frame should hold."""
        return max(1, int(self._records))

    @property
    def lasting(self) -> float:
        """Nanoseconds that the next frame should take in the slowest worker."""
        seen, spent = self._lately
        return self._records * spent / seen if seen else 0.0

    def countable(self, workers: int) -> bool:
        """Whether the parent has time to count records where a file is cut, with so many of the slowest workers."""
        seen, spent = self._lately
        return self.bytes_per_record < LONG or spent >= COUNTING * self.bytes_per_record * seen * workers

    def weighed(self, records: int, size: int) -> None:
        """A frame is about to be sent. records: their exact number, or 0; keeps frames within RANGE bytes."""
        if self._fixed is None:
            self._range = max(1.0, RANGE * records / max(1, size)) if records else inf
            self._records = min(self._records, self._range)

    @property
    def size(self) -> int:
        """Bytes of the source that the next split should hold."""
        if not self.bytes_per_record:
            return 4096 if self._fixed is None else 512 * self._fixed
        return max(1, int(min(RANGE, self._records * self.bytes_per_record)))

    def foresee(self, records: int) -> None:
        """No frame is back, since a stage gathers. So many records have come to it: frames of as many may follow."""
        if not self.proven:
            self._records = max(self._least, min(records, self._most, self._records * GROWTH))

    def cap(self, records: int) -> None:
        """A frame with more records needed too much memory in some worker: never send more from now on."""
        self._most = min(self._most, records)
        self._records = min(self._records, self._most)

    def learn(self, records: int, size: int, slowest: int, widest: int, most: int = 0) -> None:
        """A frame of `records` source records and `size` bytes took `slowest` ns and was `widest` bytes wide.

        most: records that the stage with the most results gave.
        """
        if records <= 0:
            return
        self.proven = True
        self.bytes_per_record = size / records
        seen, spent = self._lately
        seen, spent = self._lately = seen * FADING + records, spent * FADING + max(1, slowest)
        if self._fixed is not None:
            return
        by_time = (LONGEST_ROWS if self._columns else LONGEST) * seen / spent
        wide = COLUMNS if self._columns else max(WIDEST, min(WIDE, FEWEST * widest / max(records, most)))
        by_bytes = records * wide / widest if widest else float(self._most)
        self._records = max(self._least, min(by_time, by_bytes, self._most, self._range, self._records * GROWTH))
