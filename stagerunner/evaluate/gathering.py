"""Several batches of one stage at once: which records the next call takes, and to whom its results belong.

    begin(batch) ──▶ records that wait ──▶ next_call ──▶ a call, perhaps across batches ──▶ ended ──▶ batches are done

A call takes one record; of a batch transform it takes a batch; with the setting `batch` it takes `size` records of as
many batches as it needs, or fewer, once `wait` has passed since the first of them came, or `hasten` was called.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from stagerunner.evaluate import stage_api
from stagerunner.evaluate.copying import original_record
from stagerunner.evaluate.evaluator import NO_QUARANTINE, passing_of
from stagerunner.evaluate.failures import CallFailure, Refusal, failure_of
from stagerunner.evaluate.outcome.cursor import Quarantined, refusals_in
from stagerunner.evaluate.outcome.pending_batch import CallOutcome, PendingBatch
from stagerunner.evaluate.work import Slot, Work
from stagerunner.records import Batch
from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    from stagerunner.evaluate.memos.recall import Recall


class Part(NamedTuple):
    """The records start ≤ index < end of a pending batch, as a part of a call."""

    pending: PendingBatch
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start

    @property
    def wanted(self) -> bool:
        return self.pending.wants(self.start)

    @property
    def records(self) -> list[Any]:
        found: list[Any] = self.pending.batch.records[self.start : self.end]
        return found

    def originals(self) -> list[Any]:
        """The records as they came, for another attempt."""
        return [original_record(self.pending.batch, index) for index in range(self.start, self.end)]

    def singles(self) -> Iterator[Part]:
        """One part for each record."""
        return (Part(self.pending, index, index + 1) for index in range(self.start, self.end))


Dealt = list[tuple[Part, list[CallOutcome]]]
"""To each part of a call its own outcomes."""


class Gathering:
    """The batches that a stage has begun, oldest first.

    under_way: batches whose end `take_done` hasn't told yet. singly: calls take one record, unless the stage has state,
    which may depend on the lists.
    """

    def __init__(self, work: Work, recall: Recall | None = None) -> None:
        self._work = work
        self._passing = passing_of(work)
        self._recall = recall
        self._across = work.gathers
        self._size = (work.batch or sys.maxsize) if work.form.batch else 1
        self.singly = False
        self._queue: deque[PendingBatch] = deque()
        self._done: list[PendingBatch] = []
        self._begun = 0
        self._waiting = 0
        self._halted = sys.maxsize
        """The number of the batch that has ended everything: a failure ends the run, or a call said `enough`."""
        self.under_way = 0
        self._hastened = False

    def begin(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> PendingBatch:
        """Take a batch in. Quarantined records fail without a call; those that pass the stage need none."""
        refusals = refusals_in(batch, self._work.index, quarantined) if quarantined else {}
        known = [CallOutcome(at, at + 1, failure_of(Refusal(*why))) for at, why in refusals.items()]
        if self._passing is not None:
            known += self._passing.outcomes(batch.records, refusals)
        keys: dict[int, bytes] = {}
        if self._recall is not None and self._begun <= self._halted:
            kept, keys = self._recall.look_up(batch, [outcome.start for outcome in known])
            known += kept
        pending = PendingBatch(self._work, batch, known, self._begun)
        self._begun += 1
        self.under_way += 1
        if pending.number > self._halted:
            pending.abandon()
        elif known and pending.ended_early:
            self._halt(pending)
        if self._recall is not None:
            self._recall.begun(pending, keys)
        if pending.waiting:
            self._queue.append(pending)
            self._waiting += pending.unstarted
        self._tell_if_done(pending)
        return pending

    @property
    def _most(self) -> int:
        """Records of a call, at most."""
        return 1 if self.singly and not self._work.form.state else self._size

    @property
    def oldest(self) -> PendingBatch | None:
        """The oldest batch of which records wait."""
        return self._queue[0] if self._queue else None

    @property
    def short(self) -> bool:
        """Whether records wait only for others to share their call."""
        return self._waiting > 0 and not self._ready

    @property
    def calls_waiting(self) -> int:
        """Calls that could be made with the records that wait."""
        if self._across:
            return self._waiting // self._most
        return sum(len(pending.waiting) for pending in self._queue) if self._work.form.batch else self._waiting

    @property
    def due(self) -> float | None:
        """Seconds until the records that wait have waited long enough; None if nothing waits for others."""
        return max(0.0, self._queue[0].came + (self._work.wait or 0) - monotonic()) if self.short else None

    @property
    def _ready(self) -> bool:
        if not self._across or self._hastened or self._waiting >= self._most:
            return True
        return monotonic() >= self._queue[0].came + (self._work.wait or 0)

    def next_call(self) -> list[Part] | None:
        """The records of the next call; None if no call is to be made now."""
        if not self._waiting or not self._ready:
            return None
        if self._size == 1:
            return [self._taken(1)]
        most = self._most
        parts = [self._taken(most)]
        left = most - parts[0].size
        while left and self._queue and self._shares(parts):
            parts.append(self._taken(left))
            left -= parts[-1].size
        if not self._waiting:
            self._hastened = False
        return parts

    def _taken(self, most: int) -> Part:
        """The first records that wait, `most` of them at most."""
        pending = self._queue[0]
        start, end = pending.take(most)
        self._waiting -= end - start
        if not pending.waiting:
            self._queue.popleft()
        return Part(pending, start, end)

    def _shares(self, parts: list[Part]) -> bool:
        """Whether the next records that wait may go into the call with these parts."""
        if self._across:
            return True
        return self._recall is not None and parts[0].pending is self._queue[0]  # between them stood what is known

    def ended(self, dealt: Dealt) -> None:
        """A call has ended with these outcomes."""
        if self._recall is not None:
            self.remember(dealt)
        for part, outcomes in dealt:
            ends = part.pending.call_ended(part.start, outcomes)
            if ends and part.pending.number <= self._halted:
                self._halt(part.pending)
        for part, outcomes in dealt:
            if not outcomes and part.pending.number > self._halted:
                part.pending.abandon()
            self._tell_if_done(part.pending)

    def remember(self, dealt: Dealt) -> None:
        """Keep the outcomes of a call in the memo, if there is one, and settle the records that are equal."""
        recall = self._recall
        if recall is None:
            return
        keep = not any(outcome.enough for _, outcomes in dealt for outcome in outcomes)
        for part, outcomes in dealt:
            for outcome in outcomes:
                for twin, known in recall.ended(part.pending, outcome, keep=keep):
                    self._settle(twin.pending, twin.record, known)

    def _settle(self, pending: PendingBatch, index: int, known: CallOutcome | None) -> None:
        """A record that was equal to another is known, or has to wait for a call."""
        if known is not None:
            pending.call_ended(index, [known])
            self._tell_if_done(pending)
            return
        pending.release(index)
        if pending.waiting and pending not in self._queue:
            self._queue = deque(sorted([*self._queue, pending], key=lambda one: one.number))
        self._waiting = sum(one.unstarted for one in self._queue)

    def _halt(self, halting: PendingBatch) -> None:
        """Nothing behind this batch is wanted, nor what it doesn't want of its own."""
        self._halted = halting.number
        queue, self._queue = self._queue, deque[PendingBatch]()
        for pending in queue:
            if pending.number > halting.number:
                pending.abandon()
            if pending.waiting:
                self._queue.append(pending)
            else:
                self._tell_if_done(pending)
        self._waiting = sum(pending.unstarted for pending in self._queue)

    def halt(self) -> None:
        """Let no further call begin, since the run is halted: each batch ends before its first record that waits."""
        queue, self._queue = self._queue, deque[PendingBatch]()
        self._waiting = 0
        for pending in queue:
            pending.halt()
            self._tell_if_done(pending)

    def _tell_if_done(self, pending: PendingBatch) -> None:
        if pending.done and not pending.told:
            pending.told = True
            self._done.append(pending)

    def hasten(self) -> None:
        """Call with the records that wait, however few: no others will share their call."""
        self._hastened = self._waiting > 0

    @property
    def any_done(self) -> bool:
        return bool(self._done)

    def take_done(self) -> list[PendingBatch]:
        """The batches that are done since the last time, in the order in which they became so."""
        done, self._done = self._done, []
        self.under_way -= len(done)
        return done

    def cancel(self) -> None:
        """Drop everything."""
        for pending in self._queue:
            pending.abandon()
        self._queue.clear()
        self._done.clear()
        self.under_way = self._waiting = 0


def note(slot: Slot, place: int, parts: list[Part]) -> None:
    """Note in the slot which records are in a call."""
    (first, start, _), (last, _, end) = parts[0], parts[-1]
    if first.batch.frame is not None and last.batch.frame is not None:
        begin = first.batch.frame[0], first.batch.origin(start)
        one = first is last and end == start + 1
        slot.call(place, begin, begin if one else (last.batch.frame[0], last.batch.origin(end - 1)))


def deal(parts: list[Part], found: Any, listener: stage_api.CallListener) -> Dealt:
    """The outcome of a call, to each part its own. Counters and `enough` belong to the last one."""
    if len(parts) == 1:
        (part,) = parts
        return [(part, [CallOutcome(part.start, part.end, found, listener.extra, listener.said_enough)])]
    dealt: Dealt = []
    start, whole = 0, isinstance(found, CallFailure)
    for part in parts:
        own = found if whole else found[start : start + part.size]
        dealt.append((part, [CallOutcome(part.start, part.end, own)]))
        start += part.size
    last, (outcome,) = dealt[-1]
    dealt[-1] = last, [outcome._replace(extra=listener.extra, enough=listener.said_enough)]
    return dealt


def originals(parts: Iterable[Part]) -> list[Any]:
    """The records of these parts as they came."""
    return [record for part in parts for record in part.originals()]
