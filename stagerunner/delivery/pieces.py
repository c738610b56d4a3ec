"""The books of a frame's pieces whose last, which has them, has not come: a run may end there.

They follow from what the pieces bring: their source records, the failures, and where stages gave more or fewer records
than they took (records.Spread). The stages' own counters don't; those come with the last piece only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from stagerunner.records import SOURCE, Counts, Failure, Spread


class Pieces:
    """What was taken of a frame that is not yet in the ledger. stages: of the chain. sink: it has a line of its own."""

    def __init__(self, stages: int, *, sink: bool) -> None:
        self._last = stages if sink else stages - 1
        self._split = self._flush = -1
        self._start = self._end = 0
        self._spreads: list[tuple[int, Spread]] = []
        self._failed: list[tuple[int, int, str]] = []

    def took(
        self,
        split: int,
        flush: int,
        first: int,
        last: int,
        failures: Iterable[Failure],
        spreads: Iterable[tuple[int, Spread]],
    ) -> None:
        """Source records first ≤ i < last of a split; of the flush of the stage `flush`, unless that is -1."""
        if split != self._split:
            self._begin(split, flush, first)
        self._end = last
        self._failed += [(failure.stage, failure.origin, failure.policy) for failure in failures]
        self._spreads += spreads

    def booked(self, split: int, until: int) -> None:
        """The source records of this split before that one are in the ledger."""
        if split == self._split:
            self._start = max(self._start, until)
            if self._start >= self._end:
                self._begin(-1, -1, 0)

    def _begin(self, split: int, flush: int, start: int) -> None:
        self._split, self._flush, self._start, self._end = split, flush, start, start
        self._spreads, self._failed = [], []

    def ledger(self) -> list[Counts]:
        """What is to be added to the ledger."""
        number = self._end - self._start
        if not number:
            return []
        begun = SOURCE if self._flush < 0 else self._flush
        ledger = []
        for stage in range(begun, self._last + 1):
            ledger.append(self._of(stage, number, flushed=stage == self._flush >= 0))
            number = ledger[-1].out
        return ledger

    def _of(self, stage: int, number: int, *, flushed: bool) -> Counts:
        """One stage's, which took so many records, or gave them in its flush."""
        counts = Counts(stage, created=number) if flushed else Counts(stage, taken=number)
        for at, spread in self._spreads:
            if at == stage:
                counts.not_processed += len(self._within(spread.left, spread.left))
                for origins, sizes in spread.given:
                    ours = self._within(origins, sizes)
                    none = ours.count(0)
                    counts.filtered += none
                    counts.created += sum(ours) - (len(ours) - none)
        for at, origin, policy in self._failed:
            if at == stage and self._start <= origin < self._end:
                counts.fail(policy)
        gone = counts.filtered + counts.skipped + counts.dead + counts.not_processed
        counts.out = counts.taken + counts.created - gone
        return counts

    def _within(self, origins: Sequence[int], values: Sequence[int]) -> Sequence[int]:
        """Those of the values whose source records, at the same place, were taken and are not in the ledger."""
        return values[bisect_left(origins, self._start) : bisect_left(origins, self._end)]
