"""The source's end of a chain, in its first worker: a split in, a batch of records out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from stagerunner.evaluate.copying import (
    copy_if_shared,
    defensive_copy,
    may_keep_results,
    no_copy,
)
from stagerunner.evaluate.failures import failure_of
from stagerunner.evaluate.outcome.cursor import Quarantined
from stagerunner.evaluate.wording import bounded, sendable
from stagerunner.evaluate.work import Slot
from stagerunner.records import (
    NOTHING,
    PASSING,
    SOURCE,
    Batch,
    Counts,
    Failure,
    Malformed,
    Rows,
    Split,
    cut_at_failure,
)

UNREADABLE = frozenset((Malformed, type(None)))
"""Types of what a source may give instead of a record."""


LISTED = "stagerunner.evaluate.source_list"
"""The module of a source of several parts. Workers without such a source don't import it."""


class GivenRecords:
    """The source of splits that are lists of records."""

    max_record = 0
    pure = True

    def read(self, split: Split) -> Any:
        return copy_if_shared(split.data)


class SourceReader:
    """Reads splits with a source: one split in, one batch out. given: a split is the list of its records.

    rows: what gives the records of a split as Rows, or None if they have to be read one by one.
    """

    def __init__(self, source: Any, on_error: str, rows: Callable[[Split], Rows | None] | None = None) -> None:
        self._source = source
        self._rows_of = rows
        self._on_error = on_error
        self._copy = defensive_copy if may_keep_results(source) else no_copy
        self.given = isinstance(source, GivenRecords)
        self._listed = source if type(source).__module__ == LISTED else None

    def batch(
        self, split: Split, first: int, last: int, slot: Slot | None = None, quarantined: Quarantined = NOTHING
    ) -> Batch:
        """The source records first ≤ i < last of the split; the batch's `last` is where they really end. It lies before
        `first` if the split has fewer records than that.

        slot: where each record is noted while it is read, if one is suspected. quarantined: records that must not be
        read again; reading stops before the first of them.
        """
        if self._listed is not None:
            self._on_error = self._listed.on_error(split)
        if quarantined:
            end = min((record for stage, record, _ in quarantined if stage == SOURCE), default=last)
            if end < last:
                return self._read_before_quarantined(split, first, end, quarantined)
        return self._read(split, first, last, slot)

    def _read_before_quarantined(self, split: Split, first: int, end: int, quarantined: Quarantined) -> Batch:
        """The records before the quarantined one, and its failure."""
        if first > end:
            return Batch([], first, first)
        batch = self._read(split, first, end, None)
        if batch.last == end and all(failure.policy != "fail" for failure in batch.failures):
            self._refuse(batch, *next(why for place, why in quarantined.items() if place[:2] == (SOURCE, end)))
        return batch

    def _refuse(self, batch: Batch, kind: str, message: str) -> None:
        why = f"{message}; the rest of its split can't be read either"
        batch.failures = [*batch.failures, Failure(SOURCE, batch.last, 0, kind, why, self._on_error)]
        counts = Counts(SOURCE, taken=1)
        counts.fail(self._on_error)
        batch.counts.append(counts)
        if self._on_error != "fail":
            batch.origins = list(range(batch.first, batch.last)) if batch.origins is None else batch.origins
            batch.last += 1

    def _read(self, split: Split, first: int, last: int, slot: Slot | None) -> Batch:
        items: list[Any] = []
        broken: BaseException | None = None
        try:
            # A record that is suspected is read alone.
            found = None if self._rows_of is None or slot is not None else self._rows_of(split)
            found = self._source.read(split) if found is None else found
            if isinstance(found, Rows):
                return self._rows(found, first, last)
            given = iter(found)
            if first and (before := _passed_over(given, first)) < first:
                return Batch([], first, before, counts=[Counts(SOURCE)])
            given = islice(given, last - first)
            if slot is not None:
                given = _note_each(given, first, slot)
            items.extend(given if self._copy is no_copy else map(self._copy, given))
        except BaseException as error:
            broken = error
        batch = self.batch_of(items, first)
        if broken is not None:
            self._source_failed(batch, broken)
        return batch

    def _rows(self, rows: Any, first: int, last: int) -> Batch:
        """The batch of records that lie in columns: what the source gives at once is neither copied nor looked at."""
        if len(rows) < first:
            return Batch([], first, len(rows), counts=[Counts(SOURCE)])
        rows = rows[first:last]
        number = len(rows)
        return Batch(rows, first, first + number, None, None, [Counts(SOURCE, number, 0, number)])

    def read_again(self, split: Split, first: int, last: int) -> list[Any]:
        """The records that `batch` gave for this range, read again."""
        given = islice(self._source.read(split), first, last)
        return [item for item in map(self._copy, given) if type(item) not in UNREADABLE]

    def batch_of(self, items: list[Any], first: int) -> Batch:
        """The batch of these items, which begin with the source record `first`."""
        number = len(items)
        batch = Batch(items, first, first + number, None, None, [Counts(SOURCE, number, 0, number)])
        if not UNREADABLE.isdisjoint(map(type, items)):
            self._take_out(batch)
        return batch

    def _take_out(self, batch: Batch) -> None:
        """Turn what can't be read into failures, and keep the rest."""
        good = [index for index, item in enumerate(batch.records) if item is not None and type(item) is not Malformed]
        readable = set(good)
        bad = [index for index in range(len(batch.records)) if index not in readable]
        batch.failures = [self._failure(batch.first + index, batch.records[index]) for index in bad]
        batch.origins = [batch.first + index for index in good]
        batch.records = [batch.records[index] for index in good]
        counts = batch.counts[0]
        counts.out = len(good)
        counts.fail(self._on_error, len(bad))
        if self._on_error == "fail":
            cut_at_failure(batch, batch.failures[0])

    def _failure(self, origin: int, item: Malformed | None) -> Failure:
        if item is None:
            return Failure(SOURCE, origin, 0, "NoneRecord", "the source gave None instead of a record", self._on_error)
        type, message = sendable(str(item.type)), bounded(str(item.message))
        return Failure(SOURCE, origin, 0, type, message, self._on_error, record=item.record)

    def _source_failed(self, batch: Batch, error: BaseException) -> None:
        """The source raised: its records up to there are kept, and the run ends there, unless it ends before."""
        if any(failure.policy == "fail" for failure in batch.failures):
            return
        failure = failure_of(error, may_drop=False).for_record(SOURCE, batch.last, 0, "fail")
        if isinstance(error, OSError) and (why := _refused_for_now(error)):
            failure = failure._replace(type=PASSING, message=why)
        batch.failures = [*batch.failures, failure]


def _refused_for_now(error: OSError) -> str:
    """What the system or a server refused, if that may pass; else ""."""
    from stagerunner.guard import may_pass, reason  # late: no worker needs it before something fails

    return reason(error) if may_pass(error) else ""


def _passed_over(items: Iterator[Any], most: int) -> int:
    """Draw `most` items; how many there were."""
    return next(iter(deque(enumerate(islice(items, most), 1), maxlen=1)), (0,))[0]


def _note_each(items: Iterator[Any], first: int, slot: Slot) -> Iterator[Any]:
    """The same items; the slot notes each one while it is read."""
    slot.enter(first)
    for number, item in enumerate(items, first + 1):
        slot.leave()
        yield item
        slot.enter(number)
    slot.leave()
