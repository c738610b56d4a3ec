"""One batch on its way through an async stage: which calls are to be made, under way, ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stagerunner.evaluate.batches import BatchOutcome
from stagerunner.evaluate.cursor import Refusals, grouping
from stagerunner.evaluate.forms import lose
from stagerunner.evaluate.policy import Trouble
from stagerunner.evaluate.work import Work
from stagerunner.records import NOTHING, Batch
from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    import asyncio


class Outcome(NamedTuple):
    """What the call for the records start ≤ index < end came to.

    found: what it gave, by the form a record or None, a list of records, or Trouble. extra: what it counted.
    """

    start: int
    end: int
    found: Any
    extra: dict[str, int] = NOTHING
    enough: bool = False


class Flight:
    """Calls begin in order and end in any; what they gave is put together in order, as if made one by one.

    waiting: the calls not yet begun, as (start, end). under_way: those that have, by their first index.
    """

    def __init__(self, work: Work, batch: Batch, refusals: Refusals) -> None:
        self.work = work
        self.batch = batch
        self.refusals = refusals
        self.waiting = deque(self._calls())
        self.under_way: dict[int, asyncio.Task[list[Outcome]]] = {}
        self._outcomes: list[Outcome] = []
        self._wanted = len(batch.records)

    def _calls(self) -> Iterator[tuple[int, int]]:
        groups, start = grouping(self.work, self.batch, self.refusals), 0
        while start < len(self.batch.records):
            end = groups.end(start)
            yield start, end
            start = end

    def wants(self, index: int) -> bool:
        """Whether the results of this record can still matter."""
        return index < self._wanted

    def ended(self, start: int, outcomes: list[Outcome]) -> None:
        """The call that began at `start` came to this; it may end what is wanted of the batch."""
        self.under_way.pop(start, None)
        self._outcomes += outcomes
        for outcome in outcomes:
            if self.halts(outcome):
                self.want_until(outcome.start + 1)

    def halts(self, outcome: Outcome) -> bool:
        """Whether nothing behind it is wanted."""
        return outcome.enough or (isinstance(outcome.found, Trouble) and self.work.on_error == "fail")

    def want_until(self, index: int) -> None:
        """Give up the calls from this index on, those under way too."""
        self._wanted = min(self._wanted, index)
        for start, task in self.under_way.items():
            if not self.wants(start):
                task.cancel()
        while self.waiting and not self.wants(self.waiting[-1][0]):
            self.waiting.pop()

    @property
    def landed(self) -> bool:
        """Whether everything wanted has come."""
        return not self.waiting and not any(map(self.wants, self.under_way))

    def result(self) -> Batch:
        """The outgoing batch of a flight that has landed."""
        batch_outcome = BatchOutcome(self.work, self.batch, counted=True)
        for outcome in sorted(self._outcomes, key=lambda outcome: outcome.start):
            batch_outcome.cursor.take(outcome.end - outcome.start)
            self._add(batch_outcome, outcome)
            if batch_outcome.halted:
                break
        return batch_outcome.piece()

    def _add(self, batch_outcome: BatchOutcome, outcome: Outcome) -> None:
        for name, number in outcome.extra.items():
            batch_outcome.extra[name] = batch_outcome.extra.get(name, 0) + number
        self._give(batch_outcome, outcome.start, outcome.end, outcome.found)
        if outcome.enough:
            batch_outcome.enough()

    def _give(self, batch_outcome: BatchOutcome, start: int, end: int, found: Any) -> None:
        if isinstance(found, Trouble):
            lose(batch_outcome, start, end, found)
        elif found is None:
            batch_outcome.nothing()
        elif self.work.form.many:
            batch_outcome.results += found
            batch_outcome.gave([len(found)], [self.batch.origin(start)])
        else:
            batch_outcome.gave_list(start, end, found if self.work.form.batch else [found])
