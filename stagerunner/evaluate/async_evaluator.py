"""The evaluator of an `async def` stage: many calls at once, results in order. Also `make_evaluator`.

evaluator.begin(batch)              # as long as there is room()
for done in evaluator.poll(0.05): … # batches that are done, in any order
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from stagerunner.evaluate import stage_api
from stagerunner.evaluate.async_caller import AsyncCaller
from stagerunner.evaluate.evaluator import NO_QUARANTINE, NO_SLOT, Evaluator, Shared, recall_of
from stagerunner.evaluate.failures import (
    CallFailure,
    failure_of,
)
from stagerunner.evaluate.gathering import Dealt, Gathering, Part, deal, note, originals
from stagerunner.evaluate.gathering_evaluator import GatheringEvaluator
from stagerunner.evaluate.outcome.cursor import Quarantined
from stagerunner.evaluate.outcome.pending_batch import CallOutcome, PendingBatch
from stagerunner.evaluate.work import NoSlot, Slot, Work
from stagerunner.records import Batch

if TYPE_CHECKING:
    import asyncio


CLOSE_TIMEOUT = 1.0
"""Seconds that cancelled calls get to end when the stage is closed."""

CANCELLED = CallFailure("CancelledError", "cancelled")
NOT_HEARD = stage_api.CallListener()


class AsyncEvaluator(Evaluator):
    """Evaluates a stage whose transform is `async def`. Its event loop runs only during `apply` and `poll`.

    A stage with state runs one call at a time, because it must see its records in order. So does a `watched` one: after
    a death the slot must name the one record that was being processed. Of several frames under way the slot notes every
    call. Take snapshots only while nothing is running.
    attempts: those running, the oldest first.
    """

    def __init__(
        self,
        work: Work,
        slot: Slot = NO_SLOT,
        shared: Shared | None = None,
    ) -> None:
        super().__init__(work, slot, shared)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._most_calls = 1 if work.form.state else work.concurrency
        self.gathering = Gathering(work)
        self._tasks: set[asyncio.Task[Dealt]] = set()
        self._free = list(range(self._most_calls))
        """Places of the slot in which no call is noted."""
        self.attempts: dict[Attempt, None] = {}
        self._named: Attempt | None = None
        self._woken = self._filled = self._polling = False
        self._called = self._counted = 0
        """Nanoseconds of all calls together during a `poll`, and until when they are counted."""
        self.worked = self.waited = 0
        """Nanoseconds of `poll` by the share of the calls it may run that were under way: those, and the rest."""
        self.may_start: Callable[[PendingBatch], bool] = lambda pending: True
        """Whether a call may begin whose first record is of this batch."""
        self.hurries: Callable[[], bool] = bool
        """Whether `poll` is to return after each call, also if no batch is done."""

    def build(self) -> None:
        import asyncio

        self._loop = asyncio.new_event_loop()
        super().build()
        self.gathering = Gathering(self.work, recall_of(self._memo))
        self._caller = AsyncCaller(self.work, self._transform_call(), self._pacer, self._copy, self._budget)

    @property
    def under_way(self) -> int:
        """Batches begun that `poll` has not returned yet."""
        return self.gathering.under_way

    @property
    def calling(self) -> bool:
        """Whether calls are under way."""
        return bool(self._tasks)

    def room(self) -> int:
        """How many more calls could run now, beside those running or waiting."""
        return max(0, self._most_calls - len(self._tasks) - self.gathering.calls_waiting)

    def begin(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> PendingBatch:
        """Start a batch. Its calls make progress only during `poll`."""
        self.gathering.singly = self.singly
        pending = self.gathering.begin(batch, quarantined)
        self._start_calls()
        return pending

    def poll(
        self, timeout: float | None = None, inbound: int | None = None, outbound: Sequence[int] = ()
    ) -> list[PendingBatch]:
        """The batches that are done, in the order in which they became so.

        Waits until there is one, `timeout` seconds have passed, the descriptor `inbound` is readable or one of
        `outbound` writable; without `inbound` also until there is room. With nothing to wait for it returns at once.
        """
        began = self._counted = monotonic_ns()
        self._polling = True
        self._start_calls()
        self._filled = inbound is None
        if not self.gathering.any_done and (self.under_way or inbound is not None or outbound):
            if self.attempts:
                self.name_oldest(anew=True)
            due = self.gathering.due
            wait = min((seconds for seconds in (timeout, due) if seconds is not None), default=None)
            self._wait(wait, inbound, outbound)
            self._start_calls()
        self._count()
        self._polling = False
        worked, self._called = self._called // self._most_calls, 0
        self.worked += worked
        self.waited += self._counted - began - worked
        return self.gathering.take_done()

    def _count(self) -> None:
        """Count the time of the calls under way, whose number is about to change. They stand still outside `poll`."""
        if self._polling:
            at = monotonic_ns()
            self._called += len(self._tasks) * (at - self._counted)
            self._counted = at

    def apply(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Batch:
        """One batch in, one batch out. Raises RuntimeError while other batches are under way."""
        if self.under_way:
            raise RuntimeError("apply was called with batches under way")
        self.gathering = Gathering(self.work, recall_of(self._memo))
        pending = self.begin(batch, quarantined)
        while not pending.told or self.under_way:
            self.gathering.hasten()
            self.poll()
        return pending.result()

    def pieces(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Iterator[Batch]:
        yield self.apply(batch, quarantined)

    def close(self) -> None:
        """Cancel running calls, call the stage's `close`, and close the event loop."""
        if self._loop is None:
            return
        try:
            self._cancel_calls(self._loop)
            super().close()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
            self._loop = None

    def _cancel_calls(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self.gathering.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            loop.run_until_complete(asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT))

    @property
    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError(f"the stage {self.work.name} is not set up")
        return self._loop

    def _wait(self, timeout: float | None, inbound: int | None, outbound: Sequence[int]) -> None:
        loop = self._event_loop
        timer = None if timeout is None else loop.call_later(timeout, self._wake)
        if inbound is not None:
            loop.add_reader(inbound, self._wake)
        for fd in outbound:
            loop.add_writer(fd, self._wake)
        try:
            self._spin(loop)
        finally:
            if timer is not None:
                timer.cancel()
            if inbound is not None:
                loop.remove_reader(inbound)
            for fd in outbound:
                loop.remove_writer(fd)

    def _spin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._woken = False
        while not self._woken:
            # A SystemExit in any task ends run_forever too; whatever awaits that task gets it as well.
            with suppress(SystemExit):
                loop.run_forever()

    def _wake(self) -> None:
        self._woken = True
        self._event_loop.stop()

    def _start_calls(self) -> None:
        """Start the calls that wait, the oldest first, up to the limit."""
        most = 1 if self.watched else self._most_calls
        while len(self._tasks) < most and (oldest := self.gathering.oldest) is not None and self.may_start(oldest):
            parts = self.gathering.next_call()
            if parts is None:
                return
            self._start(parts)

    def _start(self, parts: list[Part]) -> None:
        single = not (self.work.form.batch or self._notes_attempts)
        task = self._event_loop.create_task(self._single_call(parts) if single else self._run_call(parts))
        for part in parts:
            part.pending.running[part.start] = partial(_cancel_if_unwanted, parts, task)
        self._count()
        self._tasks.add(task)
        place = self._free.pop()
        note(self.slot, place, parts)
        task.add_done_callback(partial(self._call_ended, parts, place, monotonic_ns()))

    def _call_ended(self, parts: list[Part], place: int, began: int, task: asyncio.Task[Dealt]) -> None:
        self._count()
        spent, total = self._counted - began, sum([part.size for part in parts])
        for part in parts:  # calls run side by side: each costs its share of the time
            part.pending.work += spent * part.size // (total * self._most_calls)
        self._tasks.discard(task)
        self._free.append(place)
        self.slot.called(place)
        self.gathering.ended(deal(parts, CANCELLED, NOT_HEARD) if task.cancelled() else task.result())
        self._start_calls()
        if self.under_way and (self.gathering.any_done or (self._filled and self.room()) or self.hurries()):
            self._wake()

    @property
    def _notes_attempts(self) -> bool:
        """Whether the slot names the oldest attempt: an attempt may block the loop or ignore its cancellation."""
        return (self.watched or self.work.timeout is not None) and not isinstance(self.slot, NoSlot)

    def name_oldest(self, *, anew: bool = False) -> None:
        """Note the oldest attempt in the slot. anew: the slot has been used for something else since."""
        oldest = next(iter(self.attempts), None)
        if oldest is self._named and not anew:
            return
        self._named = oldest
        if oldest is None:
            self.slot.leave()
        else:
            self.slot.enter(oldest.record, oldest.since, oldest.batch, alone=oldest.alone)

    async def _run_call(self, parts: list[Part]) -> Dealt:
        """The outcomes of a call. If a list fails in a stage without state, one for each of its records."""
        final = len(parts) == parts[0].size == 1 or self.work.form.state
        found, listener = await self._outcome(parts, retried=final)
        if final or not isinstance(found, CallFailure) or found.whole:
            return deal(parts, found, listener)
        return await self._one_by_one(parts)

    async def _single_call(self, parts: list[Part]) -> Dealt:
        """The same for one record, if there is nothing to note: the usual call, with as few coroutines as may be."""
        (part,) = parts
        listener = stage_api.CallListener()
        stage_api.current.set(listener)
        try:
            found = await self._caller.attempt(part.pending.batch.records[part.start])
            if isinstance(found, CallFailure):
                found = await self._caller.retry(partial(self._argument, parts), found, partial(_any_wanted, parts))
        except BaseException as error:
            found = failure_of(error)
        return deal(parts, found, listener)

    async def _one_by_one(self, parts: list[Part]) -> Dealt:
        dealt: Dealt = []
        ended = False
        for part in parts:
            outcomes: list[CallOutcome] = []
            for single in part.singles():
                if ended or not single.wanted:
                    break
                ((_, (outcome,)),) = deal([single], *await self._outcome([single], retried=True, fresh=True))
                outcomes.append(outcome)
                self.gathering.remember([(single, [outcome])])
                ended = part.pending.ends_batch(outcome)
            dealt.append((part, outcomes))
        return dealt

    async def _outcome(
        self, parts: list[Part], *, retried: bool, fresh: bool = False
    ) -> tuple[Any, stage_api.CallListener]:
        """What one call gives, and what it counted. fresh: make the argument anew, since an earlier call may have
        changed it."""
        listener = stage_api.CallListener()
        stage_api.current.set(listener)
        try:
            return await self._result(parts, retried, fresh), listener
        except BaseException as error:
            return failure_of(error), listener

    async def _result(self, parts: list[Part], retried: bool, fresh: bool) -> Any:
        first = parts[0]
        if fresh:
            argument = self._argument(parts)
        elif self.work.form.batch:
            argument = [record for part in parts for record in part.records]
        else:
            argument = first.pending.batch.records[first.start]
        observer = None
        if self._notes_attempts:
            observer = Attempt(self, first.pending.batch, first.start, alone=len(parts) == first.size == 1)
        found = await self._caller.attempt(argument, observer)
        if isinstance(found, CallFailure):
            again = self._caller.retry if retried else self._caller.patiently
            return await again(partial(self._argument, parts), found, partial(_any_wanted, parts), observer)
        return found

    def _argument(self, parts: list[Part]) -> Any:
        """The argument made anew: the records as they came."""
        records = originals(parts)
        return records if self.work.form.batch else records[0]

    def _resolve(self, value: Any) -> Any:
        """What a method returned, awaited if it is `async def`."""
        return self._event_loop.run_until_complete(_awaited(value)) if hasattr(value, "__await__") else value

    def _flush_results(self) -> Iterable[Any] | None:
        found = super()._flush_results()
        return self._iterate(found) if hasattr(found, "__anext__") else found

    def _iterate(self, results: Any) -> Iterator[Any]:
        with suppress(StopAsyncIteration):
            while True:
                yield self._event_loop.run_until_complete(_awaited(results.__anext__()))


class Attempt:
    """A running attempt at a record, or at a list that begins with it; it registers itself with the evaluator."""

    def __init__(self, stage: AsyncEvaluator, batch: Batch, record: int, *, alone: bool) -> None:
        self._stage = stage
        self.batch = batch
        self.record = record
        self.alone = alone
        self.since = 0

    def start(self) -> None:
        self.since = monotonic_ns()
        self._stage.attempts[self] = None
        self._stage.name_oldest()

    def stop(self) -> None:
        self._stage.attempts.pop(self, None)
        self._stage.name_oldest()


def _any_wanted(parts: list[Part]) -> bool:
    return any(part.wanted for part in parts)


def _cancel_if_unwanted(parts: list[Part], task: asyncio.Task[Dealt]) -> None:
    if not _any_wanted(parts):
        task.cancel()


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def make_evaluator(
    work: Work,
    slot: Slot = NO_SLOT,
    shared: Shared | None = None,
) -> Evaluator:
    """The evaluator for this stage, not yet set up."""
    kind = (
        AsyncEvaluator
        if work.form.awaited
        else GatheringEvaluator
        if work.gathers or (work.form.batch and work.memo)
        else Evaluator
    )
    return kind(work, slot, shared)
