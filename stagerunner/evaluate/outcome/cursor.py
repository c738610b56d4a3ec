"""Iterating over the records of a batch, so that stopping early costs nothing per record."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice
from operator import length_hint
from typing import Any

from stagerunner.evaluate.work import Work
from stagerunner.records import Batch, QuarantineKey, Rows

Quarantined = Mapping[QuarantineKey, tuple[str, str]]
"""Records that must not be tried again → (type, message) of the failure to write instead."""

Refusals = Mapping[int, tuple[str, str]]
"""The same for one stage and batch: index of a record → (type, message) of its failure."""


class Cursor:
    """A stage's position in its batch.

    A loop runs over `rest`, a plain list iterator. `end` and `pause` end the loop by emptying the iterator; after a
    pause `resume` makes another one. `index` is computed from how many items the iterator has left. Of Rows it has the
    indexes, and `take` gives slices.
    """

    __slots__ = ("_ended", "_records", "_rows", "paused", "rest")

    def __init__(self, records: Any, rest: Iterator[Any] | None = None) -> None:
        """rest: an iterator over these records that may already have advanced."""
        self._rows = records if isinstance(records, Rows) else None
        self._records = records = records if self._rows is None else range(len(records))
        self._ended: int | None = None
        self.paused = False
        self.rest = iter(records) if rest is None else rest

    @property
    def index(self) -> int:
        """The index of the current record; -1 before the first."""
        return len(self._records) - length_hint(self.rest) - 1 if self._ended is None else self._ended

    @property
    def over(self) -> bool:
        return not length_hint(self.rest)

    def take(self, number: int) -> Any:
        """The next so many records."""
        if self._rows is None:
            return list(islice(self.rest, number))
        start = self.index + 1
        self.rest = iter(self._records[start + number :])
        return self._rows[start : start + number]

    def back(self, index: int) -> None:
        """Continue from this index again."""
        self._ended, self.paused = None, False
        self.rest = iter(self._records[index:])

    def pause(self) -> None:
        """End the loop for now."""
        self.end()
        self.paused = True

    def resume(self) -> None:
        """Continue after a pause, if there was one."""
        if self.paused:
            self.back(self.index + 1)

    def end(self, index: int | None = None) -> None:
        """End the loop. index: of the last record that was processed; by default the current one."""
        self._ended = self.index if index is None else index
        deque(self.rest, maxlen=0)


class Grouping:
    """Cuts a batch into the lists that a batch transform is called with.

    A quarantined record is a list of its own. most: records in a list; None for no limit.
    """

    def __init__(self, most: int | None, batch: Batch, refusals: Refusals) -> None:
        self._size = len(batch.records)
        self._most = most or max(1, self._size)
        self._refusals = sorted(refusals)
        self._single_until = 0
        self._ends: list[int] = []

    def one_by_one(self, end: int) -> None:
        """Make lists of one record up to this index."""
        self._single_until = end

    def halve(self, start: int, end: int) -> None:
        """Make two lists of this one. Those that are halved later must lie within it, or behind it."""
        self._ends = [later for later in self._ends if later > end] + [end, (start + end) // 2]

    def end(self, start: int) -> int:
        """The end of the list that begins at `start`."""
        if start < self._single_until or start in self._refusals:
            return start + 1
        halves = [end for end in self._ends if end > start]
        return min([start + self._most, self._size, *(index for index in self._refusals if index > start), *halves])


def grouping(work: Work, batch: Batch, refusals: Refusals, *, singly: bool = False) -> Grouping:
    """Lists of at most `work.batch` records; of one for a transform that takes one record.

    singly: lists of one, unless the stage has state, which may depend on the lists.
    """
    groups = Grouping(work.batch if work.form.batch else 1, batch, refusals)
    if singly and not work.form.state:
        groups.one_by_one(len(batch.records))
    return groups


def refusals_in(batch: Batch, stage: int, quarantined: Quarantined) -> Refusals:
    """The quarantined records of this batch at this stage."""
    found = {
        _index(batch, origin, ordinal): why for (where, origin, ordinal), why in quarantined.items() if where == stage
    }
    found.pop(-1, None)
    return found


def _index(batch: Batch, origin: int, ordinal: int) -> int:
    """The index of the record with this origin and ordinal; -1 if there is none."""
    index = ordinal + (origin - batch.first if batch.origins is None else bisect_left(batch.origins, origin))
    if not 0 <= index < len(batch.records) or batch.origin(index) != origin:
        return -1
    return index
