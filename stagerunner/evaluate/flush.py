"""What a stage's `flush` gives after the last record: a split of its own, whose source records are its results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from time import monotonic_ns
from typing import Any

from stagerunner.evaluate import stage_api
from stagerunner.evaluate.failures import CallFailure, Refusal, failure_of
from stagerunner.evaluate.limits.budget import Budget
from stagerunner.evaluate.work import Slot, Work
from stagerunner.records import Batch, Counts, Spread, counters_within, spread_counters

_END = object()


class Flush:
    """The results of one flush while they are drawn. It is the listener for `count`; `enough` has no effect here."""

    def __init__(
        self,
        work: Work,
        start: Callable[[], Iterable[Any] | None],
        copy: Callable[[Any], Any],
        refused: Mapping[int, tuple[str, str]],
        budget: Budget | None = None,
    ) -> None:
        self._work = work
        self._budget = budget
        self._refused = refused
        self._copy = copy
        self._start = start
        self._rest: Iterator[Any] | None = None
        self.given = 0
        self.over = False
        self._at = 0
        self._noted: list[tuple[int, str, int]] = []

    def count(self, name: str, number: int) -> None:
        self._noted.append((self._at, name, number))
        if self._budget is not None:
            self._budget.spend({name: number})

    def enough(self) -> None:
        return

    def batch(self, most: int, slot: Slot) -> Batch:
        """The next `most` results. A failure ends the flush: a generator can't be continued after it has raised."""
        self._noted = []
        first, results = self.given, list[Any]()
        try:
            self._draw(results, most, slot)
        except BaseException as error:
            self.over = True
            return self._ended(results, failure_of(error, may_drop=False))
        finally:
            slot.leave()
        self.given += len(results)
        return Batch(results, first, self.given, counts=[self._counts(first, len(results))])

    def _ended(self, results: list[Any], call_failure: CallFailure) -> Batch:
        """The last batch, with the failure in the place of the missing result."""
        first, policy = self.given, call_failure.policy or self._work.on_error
        place = first + len(results)
        failure = call_failure._replace(attempts=1).for_record(self._work.index, place, 0, policy)
        if policy == "fail":  # what did not come can't be counted
            return Batch(results, first, place, None, [failure], [self._counts(first, len(results))])
        counts = [self._counts(first, len(results), failed=1)]
        return Batch(results, first, place + 1, list(range(first, place)), [failure], counts)

    def _draw(self, results: list[Any], most: int, slot: Slot) -> None:
        began, at = monotonic_ns(), self.given
        self._at = at
        while len(results) < most:
            if at in self._refused:
                raise Refusal(*self._refused[at])
            if self._budget is not None and (self._rest is None or isinstance(self._rest, Generator)):
                self._budget.check()  # a list is there already
            slot.enter(at, began)
            if self._rest is None:
                self._rest = as_iterator(self._start())
            result = next(self._rest, _END)
            if result is _END:
                self.over = True
                return
            if result is None:
                raise Refusal("NoneReturned", "flush gave None; a record is never None")
            results.append(self._copy(result))
            self._at = at = at + 1

    def _counts(self, first: int, given: int, failed: int = 0) -> Counts:
        counts = Counts(self._work.index, created=given + failed, out=given)
        counts.fail(self._work.on_error, failed)
        if self._noted:
            last = max(first, first + given + failed - 1)  # what was counted behind the last result belongs to it
            noted = ((min(at, last), name, number) for at, name, number in self._noted)
            counts.spread = Spread([], (), spread_counters(noted))
            counts.extra = counters_within(counts.spread, first, sys.maxsize)
        return counts


def as_iterator(found: Any) -> Iterator[Any]:
    """An iterator over what `flush` returned. Raises Refusal if it isn't None, an iterator, a list or a tuple."""
    if found is None:
        return iter(())
    if isinstance(found, Iterator | list | tuple):
        return iter(found)
    raise Refusal("NotAList", f"flush returned {type(found).__name__}; it yields records or returns a list of them")


def flush_batches(
    work: Work,
    start: Callable[[], Iterable[Any] | None],
    copy: Callable[[Any], Any],
    refused: Mapping[int, tuple[str, str]],
    batch_size: Callable[[int], int],
    slot: Slot,
    budget: Budget | None = None,
) -> Iterator[Batch]:
    """The batches of a flush, at least one. start: calls the stage's `flush`. budget: looked at before each result.

    refused: number of a result → (type, message) of the failure in its place. batch_size: how many results the next
    batch may hold, after so many results.
    """
    flush = Flush(work, start, copy, refused, budget)
    while not flush.over:
        batch = stage_api.call_with_listener(flush, partial(flush.batch, batch_size(flush.given), slot))
        batch.final = flush.over
        yield batch
