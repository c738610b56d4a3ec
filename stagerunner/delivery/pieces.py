"""The counts of a frame whose last piece, which carries them, has not come: a run may end there.

They are derived from what each piece brings: its source records, its failures, and where stages gave more or fewer
records than they took (`records.Spread`). A stage's own counters can't be derived; they come with the last piece only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from stagerunner.records import SOURCE, Counts, Failure, Spread


class Pieces:
    """What was accepted and is not yet in the ledger. stages: how many. sink: it has a line in the ledger."""

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
        """Add a piece: source records first ≤ i < last of a split. flush: the stage whose flush it is, or -1."""
        if split != self._split:
            self._begin(split, flush, first)
        self._end = last
        self._failed += [(failure.stage, failure.origin, failure.policy) for failure in failures]
        self._spreads += spreads

    def booked(self, split: int, until: int) -> None:
        """The ledger now has the source records of this split before `until`."""
        if split == self._split:
            self._start = max(self._start, until)
            if self._start >= self._end:
                self._begin(-1, -1, 0)

    def _begin(self, split: int, flush: int, start: int) -> None:
        self._split, self._flush, self._start, self._end = split, flush, start, start
        self._spreads, self._failed = [], []

    def ledger(self) -> list[Counts]:
        """What the ledger lacks, stage by stage."""
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
        """The counts of one stage that took `number` records, or gave them in its flush."""
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
        """The values whose source records (in `origins`, ascending) are accepted and not in the ledger."""
        return values[bisect_left(origins, self._start) : bisect_left(origins, self._end)]
