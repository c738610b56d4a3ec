"""A batch in an async stage: which calls are waiting, running and done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stagerunner.evaluate.batch_outcome import BatchOutcome
from stagerunner.evaluate.cursor import Grouping, Refusals, grouping
from stagerunner.evaluate.failures import CallFailure
from stagerunner.evaluate.forms import fail_all
from stagerunner.evaluate.work import Work
from stagerunner.records import NOTHING, Batch
from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    import asyncio


class CallOutcome(NamedTuple):
    """What the call for the records start ≤ index < end gave.

    found: a record or None, or a list of records, as the form says; or a CallFailure. extra: the call's counters.
    """

    start: int
    end: int
    found: Any
    extra: dict[str, int] = NOTHING
    enough: bool = False


class PendingBatch:
    """The calls for one batch. They start in order and end in any order; `result` puts them together in order.

    waiting: calls not started yet, as (start, end). running: their tasks, by the index of the first record.
    """

    def __init__(self, work: Work, batch: Batch, refusals: Refusals, *, singly: bool = False) -> None:
        self.work = work
        self.batch = batch
        self.refusals = refusals
        self.waiting = deque(self._calls(grouping(work, batch, refusals, singly=singly)))
        self.running: dict[int, asyncio.Task[list[CallOutcome]]] = {}
        self._outcomes: list[CallOutcome] = []
        self._wanted = len(batch.records)

    def _calls(self, groups: Grouping) -> Iterator[tuple[int, int]]:
        start = 0
        while start < len(self.batch.records):
            end = groups.end(start)
            yield start, end
            start = end

    def wants(self, index: int) -> bool:
        """Whether this record lies before everything that ends the batch."""
        return index < self._wanted

    def call_ended(self, start: int, outcomes: list[CallOutcome]) -> None:
        """Add the outcomes of the call that started at this index. One of them may end the batch early."""
        self.running.pop(start, None)
        self._outcomes += outcomes
        for outcome in outcomes:
            if self.ends_batch(outcome):
                self.limit(outcome.start + 1)

    def ends_batch(self, outcome: CallOutcome) -> bool:
        """Whether nothing after this outcome is wanted."""
        failed = isinstance(outcome.found, CallFailure)
        return outcome.enough or (failed and (outcome.found.policy or self.work.on_error) == "fail")

    def limit(self, index: int) -> None:
        """Drop the calls from this index on, and cancel those that are running."""
        self._wanted = min(self._wanted, index)
        for start, task in self.running.items():
            if not self.wants(start):
                task.cancel()
        while self.waiting and not self.wants(self.waiting[-1][0]):
            self.waiting.pop()

    @property
    def done(self) -> bool:
        """Whether every call that is wanted has ended."""
        return not self.waiting and not any(map(self.wants, self.running))

    def result(self) -> Batch:
        """The outgoing batch, once `done`."""
        batch_outcome = BatchOutcome(self.work, self.batch, counted=True)
        for outcome in sorted(self._outcomes, key=lambda outcome: outcome.start):
            batch_outcome.cursor.take(outcome.end - outcome.start)
            self._add(batch_outcome, outcome)
            if batch_outcome.halted:
                break
        return batch_outcome.piece()

    def _add(self, batch_outcome: BatchOutcome, outcome: CallOutcome) -> None:
        for name, number in outcome.extra.items():
            batch_outcome.count(name, number)
        self._give(batch_outcome, outcome.start, outcome.end, outcome.found)
        if outcome.enough:
            batch_outcome.enough()

    def _give(self, batch_outcome: BatchOutcome, start: int, end: int, found: Any) -> None:
        if isinstance(found, CallFailure):
            fail_all(batch_outcome, start, end, found)
        elif found is None:
            batch_outcome.add_none()
        else:
            batch_outcome.add_list(start, end, found if self.work.form.batch else [found])
