"""The evaluator of a batch transform whose lists are gathered across batches, one call at a time."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import monotonic_ns
from typing import Any

from stagerunner.evaluate import stage_api
from stagerunner.evaluate.evaluator import NO_QUARANTINE, NO_SLOT, Evaluator, Shared, recall_of
from stagerunner.evaluate.failures import CallFailure, failure_of, patiently, retry
from stagerunner.evaluate.forms import checking_list
from stagerunner.evaluate.gathering import Dealt, Gathering, Part, deal, note, originals
from stagerunner.evaluate.outcome.cursor import Quarantined
from stagerunner.evaluate.outcome.pending_batch import CallOutcome, PendingBatch
from stagerunner.evaluate.work import Slot, Work
from stagerunner.records import Batch


class GatheringEvaluator(Evaluator):
    """Evaluates a batch transform that isn't `async def`, and gathers its lists across batches.

    begin(batch)                      # as long as there is room()
    for done in poll(0.05, pipe): …   # makes at most one call
    """

    def __init__(
        self,
        work: Work,
        slot: Slot = NO_SLOT,
        shared: Shared | None = None,
    ) -> None:
        super().__init__(work, slot, shared)
        self.gathering = Gathering(work)
        self.worked = self.waited = 0
        """Nanoseconds that `poll` has called the transform, and waited for records."""

    def setup(self) -> None:
        super().setup()
        self.gathering = Gathering(self.work, recall_of(self._memo))
        checked = checking_list(self._call, self.work, self._copy)
        self._checked = checked if self._budget is None else self._budget.around(checked)

    def apply(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Batch:
        """As in Evaluator. With a memo, what is known takes no place in a list."""
        return super().apply(batch, quarantined) if self._memo is None else self._whole(batch, quarantined)

    def pieces(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Iterator[Batch]:
        if self._memo is None:
            return super().pieces(batch, quarantined)
        return iter((self._whole(batch, quarantined),))

    def _whole(self, batch: Batch, quarantined: Quarantined) -> Batch:
        """One batch in, one batch out."""
        self.gathering = Gathering(self.work, recall_of(self._memo))
        pending = self.begin(batch, quarantined)
        while self.under_way:
            self.gathering.hasten()
            self.poll()
        piece = pending.result()
        piece.final = batch.final
        return piece

    @property
    def under_way(self) -> int:
        """Batches begun that `poll` has not returned yet."""
        return self.gathering.under_way

    @property
    def calling(self) -> bool:
        """Whether calls are under way. Here they are only during `poll`."""
        return False

    def room(self) -> int:
        """How many more calls need records."""
        return max(0, 1 - self.gathering.calls_waiting)

    def begin(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> PendingBatch:
        """Take a batch in; `poll` makes the calls."""
        self.gathering.singly = self.singly
        return self.gathering.begin(batch, quarantined)

    def poll(
        self, timeout: float | None = None, inbound: int | None = None, outbound: Sequence[int] = ()
    ) -> list[PendingBatch]:
        """Make the next call, if there is one to make, and return the batches that are done.

        Else wait until `timeout` seconds have passed, the descriptor `inbound` is readable, or one of `outbound`
        writable.
        """
        if not self.gathering.any_done:
            parts = self.gathering.next_call()
            if parts is not None:
                self._make(parts)
            elif inbound is not None or outbound:
                self._await(timeout, inbound, outbound)
        return self.gathering.take_done()

    def _await(self, timeout: float | None, inbound: int | None, outbound: Sequence[int]) -> None:
        due, began = self.gathering.due, monotonic_ns()
        wait = min((seconds for seconds in (timeout, due) if seconds is not None), default=None)
        poller = select.poll()
        if inbound is not None:
            poller.register(inbound, select.POLLIN)
        for fd in outbound:
            poller.register(fd, select.POLLOUT)
        poller.poll(None if wait is None else max(1, int(wait * 1000)))
        self.waited += monotonic_ns() - began

    def _make(self, parts: list[Part]) -> None:
        """Make one call, and share its time among the batches by records."""
        began, total = monotonic_ns(), sum(part.size for part in parts)
        final = total == 1 or self.work.form.state
        note(self.slot, 0, parts)
        found, listener = self._outcome(parts, retried=final)
        single = isinstance(found, CallFailure) and not (final or found.whole)
        dealt = self._one_by_one(parts) if single else deal(parts, found, listener)
        self.slot.called(0)
        spent = monotonic_ns() - began
        self.worked += spent
        for part in parts:
            part.pending.work += spent * part.size // total
        self.gathering.ended(dealt)

    def _one_by_one(self, parts: list[Part]) -> Dealt:
        """A call for each record, up to one that ends everything."""
        dealt: Dealt = []
        ended = False
        for part in parts:
            outcomes: list[CallOutcome] = []
            for single in () if ended else part.singles():
                ((_, (outcome,)),) = deal([single], *self._outcome([single], retried=True, fresh=True))
                outcomes.append(outcome)
                self.gathering.remember([(single, [outcome])])
                ended = part.pending.ends_batch(outcome)
                if ended:
                    break
            dealt.append((part, outcomes))
        return dealt

    def _outcome(self, parts: list[Part], *, retried: bool, fresh: bool = False) -> tuple[Any, stage_api.CallListener]:
        """What one call gives, a list of results or a CallFailure, and what it counted. fresh: an earlier call may have
        changed the records."""
        listener = stage_api.CallListener()
        records = originals(parts) if fresh else [record for part in parts for record in part.records]
        call = partial(self._noted, parts)
        again: Callable[..., Any] = partial(retry, work=self.work) if retried else patiently

        def attempts() -> Any:
            try:
                return call(records)
            except BaseException as error:
                failure = failure_of(error)
            return again(call, partial(originals, parts), failure, pause=self._pause)

        return stage_api.call_with_listener(listener, attempts), listener

    def _noted(self, parts: list[Part], records: list[Any]) -> Any:
        """The results of a call, once it may begin, with its first record noted in the slot."""
        self._pacer.wait()  # waiting must not count against the deadline
        self.slot.enter(parts[0].start, 0, parts[0].pending.batch, alone=len(records) == 1)
        try:
            return self._checked(records)
        finally:
            self.slot.leave()
