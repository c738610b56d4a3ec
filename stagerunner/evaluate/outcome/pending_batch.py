"""A batch whose calls are made one by one or across batches: which records wait, which are in a call, what came out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from time import monotonic
from typing import Any

from stagerunner.evaluate.failures import CallFailure
from stagerunner.evaluate.forms import fail_all
from stagerunner.evaluate.outcome.batch_outcome import BatchOutcome
from stagerunner.evaluate.work import Work
from stagerunner.records import NOTHING, Batch
from stagerunner.tuples import NamedTuple

Cancel = Callable[[], None]

_START = attrgetter("start")


def _go_on() -> None:
    """What cancels a call that can't be cancelled."""


class CallOutcome(NamedTuple):
    """What became of the records start ≤ index < end in a call.

    found: a record or None; a list of results, as the form says; or a CallFailure. extra: the call's counters.
    """

    start: int
    end: int
    found: Any
    extra: dict[str, int] = NOTHING
    enough: bool = False


class PendingBatch:
    """The calls for one batch. They start in order and end in any order; `result` puts them together in order.

    known: outcomes that are there before any call, as of quarantined records.
    waiting: ranges of records without a call, as (start, end). running: what to call when the call of the records that
    begin there has become unwanted. came: when the batch came, in seconds of the monotonic clock. work: nanoseconds of
    calls that fell to its records. number: its place among the batches of its stage. told: its end was told.
    abandoned: none of its records is wanted, because an earlier batch has ended everything.
    """

    def __init__(self, work: Work, batch: Batch, known: Iterable[CallOutcome] = (), number: int = 0) -> None:
        self.stage = work
        self.batch = batch
        self.number = number
        self.came = monotonic()
        self.work = 0
        self.told = False
        self.running: dict[int, Cancel] = {}
        self._outcomes = sorted(known)
        self._wanted = len(batch.records)
        self.abandoned = self._halted = False
        self._outcome = BatchOutcome(work, batch, counted=True)
        self._given = 0
        self.waiting = deque(self._gaps())
        for outcome in self._outcomes:
            self._heed(outcome)

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """The ranges of records whose outcome isn't known."""
        start = 0
        for outcome in self._outcomes:
            if outcome.start > start:
                yield start, outcome.start
            start = outcome.end
        if start < len(self.batch.records):
            yield start, len(self.batch.records)

    def take(self, most: int) -> tuple[int, int]:
        """The first records that wait, `most` of them at most: they are in a call from now on.

        Until `running` says otherwise, it isn't cancelled.
        """
        start, end = self.waiting.popleft()
        self.running[start] = _go_on
        if end - start > most:
            self.waiting.appendleft((start + most, end))
            end = start + most
        return start, end

    def hold(self, index: int) -> None:
        """This record, which waits, waits for no call any more, but for what an equal one becomes."""
        self.waiting = deque(piece for start, end in self.waiting for piece in _without(start, end, index))
        self.running[index] = _nothing

    def release(self, index: int) -> None:
        """A record that was held waits for a call again."""
        del self.running[index]
        if self.wants(index):
            self.waiting = deque(sorted([*self.waiting, (index, index + 1)]))

    @property
    def unstarted(self) -> int:
        """How many records wait."""
        return sum(end - start for start, end in self.waiting)

    def wants(self, index: int) -> bool:
        """Whether this record lies before everything that ends the batch."""
        return index < self._wanted

    def call_ended(self, start: int, outcomes: list[CallOutcome]) -> bool:
        """Add the outcomes of the call whose records begin at this index. Whether one of them ends the batch early."""
        self.running.pop(start, None)
        self._outcomes += outcomes
        ends = False
        for outcome in outcomes:
            if outcome.enough or isinstance(outcome.found, CallFailure):  # nothing else ends it
                ends |= self._heed(outcome)
        return ends

    def _heed(self, outcome: CallOutcome) -> bool:
        """Whether it ends the batch, which is heeded."""
        ends = self.ends_batch(outcome)
        if ends:
            self.limit(outcome.end if outcome.enough else outcome.start + 1)
        return ends

    def ends_batch(self, outcome: CallOutcome) -> bool:
        """Whether nothing after this outcome is wanted."""
        failed = isinstance(outcome.found, CallFailure)
        return outcome.enough or (failed and (outcome.found.policy or self.stage.on_error) == "fail")

    @property
    def ended_early(self) -> bool:
        """Whether an outcome so far ends the batch."""
        return any(map(self.ends_batch, self._outcomes))

    def abandon(self) -> None:
        """Want none of the records."""
        self.abandoned = True
        self.limit(0)

    def halt(self) -> None:
        """Want nothing from the first record on that waits: the run is halted."""
        self._halted = True
        self.limit(self.waiting[0][0])

    def limit(self, index: int) -> None:
        """Drop what waits from this index on, and cancel the calls that nobody wants any more."""
        self._wanted = min(self._wanted, index)
        while self.waiting and not self.wants(self.waiting[-1][0]):
            self.waiting.pop()
        if self.waiting:
            start, end = self.waiting.pop()
            self.waiting.append((start, min(end, self._wanted)))
        for start, cancel in list(self.running.items()):
            if not self.wants(start):
                cancel()

    @property
    def done(self) -> bool:
        """Whether every call that is wanted has ended."""
        return not self.waiting and not (self.running and any(map(self.wants, self.running)))

    def part(self) -> Batch | None:
        """What the calls gave that have ended, in order, since the last part; None unless it ends with a source record,
        and before the batch does."""
        outcome = self._so_far()
        if outcome.halted or outcome.cursor.index < self._given or not outcome.at_source_end:
            return None
        self._given = outcome.cursor.index + 1
        return outcome.piece()

    def result(self) -> Batch:
        """The outgoing batch, or what no part has given of it, once `done`. An abandoned one has none."""
        outcome = self._so_far()
        if self._halted:
            outcome.halt()
        return outcome.piece()

    def _so_far(self) -> BatchOutcome:
        """What the calls gave that have ended, up to the first that hasn't, or that ends the batch."""
        outcome, taken = self._outcome, 0
        following = outcome.cursor.index + 1
        self._outcomes.sort(key=_START)
        for ended in self._outcomes:
            if outcome.halted or ended.start != following or not self.wants(following):
                break
            taken, following = taken + 1, ended.end
            outcome.cursor.take(ended.end - ended.start)
            self._add(outcome, ended)
        del self._outcomes[:taken]
        return outcome

    def _add(self, batch_outcome: BatchOutcome, outcome: CallOutcome) -> None:
        for name, number in outcome.extra.items():
            batch_outcome.count(name, number)
        self._give(batch_outcome, outcome.start, outcome.end, outcome.found)
        if outcome.enough and not batch_outcome.halted:
            batch_outcome.enough()

    def _give(self, batch_outcome: BatchOutcome, start: int, end: int, found: Any) -> None:
        if isinstance(found, CallFailure):
            fail_all(batch_outcome, start, end, found)
        elif self.stage.form.batch:
            batch_outcome.add_list(start, end, found)
        elif found is None:
            batch_outcome.add_none()
        elif self.stage.form.many:
            batch_outcome.add_list(start, end, [found])
        else:
            batch_outcome.add_one(start, found)


def _without(start: int, end: int, index: int) -> Iterator[tuple[int, int]]:
    """The range without this index."""
    if not start <= index < end:
        yield start, end
        return
    if start < index:
        yield start, index
    if index + 1 < end:
        yield index + 1, end


def _nothing() -> None:
    """Nothing has to be cancelled."""
