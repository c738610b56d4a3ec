"""The two ends of a chain inside the workers: a split becomes records, records become what the sink writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from stagerunner.evaluate.growth import TooLarge
from stagerunner.evaluate.policy import trouble_of
from stagerunner.evaluate.wording import bounded, sendable
from stagerunner.records import NOTHING, SOURCE, Batch, Counts, Failure, Malformed, Split
from stagerunner.tuples import NamedTuple

UNREADABLE = frozenset((Malformed, type(None)))
"""Types of what a source gives in the place of a record."""


class End(NamedTuple):
    """A source or sink as a worker is told: what to import, its options, what a failure of its own means.

    target: "" for a source whose records come as they are, from a feeder or from the caller.
    """

    target: str = ""
    options: dict[str, Any] = NOTHING
    on_error: str = "fail"
    max_record: int = 16 * 2**20


class Given:
    """What reads a split that is the list of its records."""

    max_record = 0

    def read(self, split: Split) -> Any:
        return split.data


class Reading:
    """The source's side: one split in, one batch out."""

    def __init__(self, source: Any, on_error: str) -> None:
        self._source = source
        self._on_error = on_error
        self.given = isinstance(source, Given)
        """A split is the list of its records; `told` is all there is to do."""

    def batch(self, split: Split, first: int, last: int) -> Batch:
        """Source records first ≤ i < last of the split; the batch's `last` is where they really end."""
        items: list[Any] = []
        broken: BaseException | None = None
        try:
            items.extend(islice(self._source.read(split), first, last))
        except BaseException as error:
            broken = error
        batch = self.told(items, first)
        if broken is not None:
            self._break(batch, broken)
        return batch

    def told(self, items: list[Any], first: int) -> Batch:
        """The batch of what was read, from the source record `first` on."""
        number = len(items)
        batch = Batch(items, first, first + number, None, None, [Counts(SOURCE, number, 0, number)])
        if not UNREADABLE.isdisjoint(map(type, items)):
            self._take_out(batch)
        return batch

    def _take_out(self, batch: Batch) -> None:
        """Book what can't be read, and keep the rest."""
        good = [index for index, item in enumerate(batch.records) if item is not None and type(item) is not Malformed]
        kept = set(good)
        bad = [index for index in range(len(batch.records)) if index not in kept]
        batch.failures = [self._failure(batch.first + index, batch.records[index]) for index in bad]
        batch.origins = [batch.first + index for index in good]
        batch.records = [batch.records[index] for index in good]
        counts = batch.counts[0]
        counts.out = len(good)
        if self._on_error == "skip":
            counts.skipped = len(bad)
        else:
            counts.dead = len(bad)
        if self._on_error == "fail":
            cut_at_failure(batch, batch.failures[0])

    def _failure(self, origin: int, item: Malformed | None) -> Failure:
        if item is None:
            return Failure(SOURCE, origin, 0, "NoneRecord", "the source gave None, which is no record", self._on_error)
        type, message = sendable(str(item.type)), bounded(str(item.message))
        return Failure(SOURCE, origin, 0, type, message, self._on_error, record=item.record)

    def _break(self, batch: Batch, error: BaseException) -> None:
        """The source itself failed: what it gave before goes on, and the run ends there."""
        failure = trouble_of(error).failure(SOURCE, batch.last, 0, "fail")
        batch.failures = [f for f in batch.failures if f.policy != "fail"] + [failure]


def cut_at_failure(batch: Batch, failure: Failure) -> None:
    """Let the batch end before the source record of `failure`, the books of its stage included."""
    keep = sum(1 for index in range(len(batch.records)) if batch.origin(index) < failure.origin)
    dropped = len(batch.records) - keep
    batch.counts.append(Counts(failure.stage, filtered=dropped, out=-dropped))
    batch.counts.extend(_forgiven(later) for later in batch.failures if later.origin > failure.origin)
    batch.failures = [f for f in batch.failures if f.origin <= failure.origin]
    if batch.origins is not None:
        batch.origins = batch.origins[:keep]
    batch.records = batch.records[:keep]
    batch.last = failure.origin


def _forgiven(failure: Failure) -> Counts:
    """A failure that is nobody's any more: booked as filtered instead."""
    if failure.policy == "skip":
        return Counts(failure.stage, filtered=1, skipped=-1)
    return Counts(failure.stage, filtered=1, dead=-1)


class Writing:
    """The other side: a batch in, the bytes for the sink out. `stage` is the index its failures are booked under.

    Also used between stages, with pickle as the encoder: what can't be pickled is a failure of the stage it left.
    """

    def __init__(self, encode: Callable[[list[Any]], Any], stage: int, on_error: str, *, books: bool) -> None:
        self._encode = encode
        self._stage = stage
        self._on_error = on_error
        self._books = books

    def body(self, batch: Batch) -> Any:
        """The batch's records encoded. Those that can't be are taken out of the batch and booked.

        Raises TooLarge for more than can be sent at once of more than one source record.
        """
        number = len(batch.records)
        try:
            body = self._encode(batch.records)
        except TooLarge as error:
            if number and batch.origin(0) != batch.origin(number - 1):
                raise
            self._book(batch)
            self._take_out(batch, dict.fromkeys(range(number), error))
            return self._encode(batch.records)
        except BaseException:
            whole = False
        else:
            whole = True
        self._book(batch)
        if whole:
            return body
        # Not while the error is under handling: it would be told as what each record's own comes from.
        self._take_out(batch, self._errors(batch.records))
        return self._encode(batch.records)

    def _book(self, batch: Batch) -> None:
        if self._books:
            batch.counts.append(Counts(self._stage, taken=len(batch.records), out=len(batch.records)))

    def _errors(self, records: list[Any]) -> dict[int, BaseException]:
        return {index: error for index, record in enumerate(records) if (error := self._error(record))}

    def _take_out(self, batch: Batch, bad: Mapping[int, BaseException]) -> None:
        failures = [self._failure(batch, index, error) for index, error in bad.items()]
        good = [index for index in range(len(batch.records)) if index not in bad]
        batch.failures = batch.failures + failures
        batch.origins = [batch.origin(index) for index in good]
        batch.records = [batch.records[index] for index in good]
        skipped = len(bad) if self._on_error == "skip" else 0
        batch.counts.append(Counts(self._stage, out=-len(bad), skipped=skipped, dead=len(bad) - skipped))
        if failures and self._on_error == "fail":
            cut_at_failure(batch, failures[0])

    def _error(self, record: Any) -> BaseException | None:
        try:
            self._encode([record])
        except BaseException as error:
            return error
        return None

    def _failure(self, batch: Batch, index: int, error: BaseException) -> Failure:
        trouble = trouble_of(error)
        if not self._books and not isinstance(error, TooLarge):
            trouble = trouble._replace(message=f"its result can't be sent on: {trouble.message}")
        place = (self._stage, batch.origin(index), batch.ordinal(index))
        return trouble.failure(*place, self._on_error, batch.records[index])
