"""A stage that is `async def`: many records at once, results in order.

evaluator.begin(batch)              # as long as there is room(), however many batches that makes
for done in evaluator.poll(0.05): … # the finished ones, in the order in which they were begun
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Protocol

from stagerunner.evaluate import ambient
from stagerunner.evaluate.calling import NO_SLOT, NOBODY, Evaluator, Quarantined
from stagerunner.evaluate.cursor import refusals_in
from stagerunner.evaluate.flights import Flight, Outcome
from stagerunner.evaluate.forms import as_list
from stagerunner.evaluate.growth import Pile
from stagerunner.evaluate.own import as_it_came, own
from stagerunner.evaluate.pace import Pace, Turn
from stagerunner.evaluate.policy import Refusal, Trouble, pauses, trouble_of
from stagerunner.evaluate.wording import frames_of
from stagerunner.evaluate.work import NoSlot, Slot, Work
from stagerunner.records import Batch
from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    import asyncio


LAST_WORDS = 1.0
"""Seconds that cancelled calls have to end in when the stage is closed."""

CANCELLED = Trouble("CancelledError", "cancelled")


class AwaitingEvaluator(Evaluator):
    """A stage whose transform is `async def`; an event loop of its own runs while `apply` or `poll` does.

    A stage with state has one call under way at a time, for it sees its records in order; so has one that is
    `watched`, for a death is then to be laid to one record, which the slot names. Snapshots are to be taken with
    nothing under way.
    """

    def __init__(self, work: Work, slot: Slot = NO_SLOT, turn: Turn | None = None) -> None:
        super().__init__(work, slot, turn)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = 1 if work.form.state else work.concurrency
        self._flights: deque[Flight] = deque()
        self._tasks: set[asyncio.Task[list[Outcome]]] = set()
        self.attempts: dict[Attempt, None] = {}
        """Under way, the oldest first."""
        self._named: Attempt | None = None
        self._woken = False

    def build(self) -> None:
        import asyncio

        self._loop = asyncio.new_event_loop()
        super().build()
        self._caller = Caller(self.work, self._bare, self._pace, self._own)

    @property
    def under_way(self) -> int:
        """Batches begun and not yet handed out."""
        return len(self._flights)

    def room(self) -> int:
        """Calls that could be made at once beside those begun or waiting to be."""
        waiting = sum(len(flight.waiting) for flight in self._flights)
        return max(0, self._places - len(self._tasks) - waiting)

    def begin(self, batch: Batch, quarantined: Quarantined = NOBODY) -> None:
        """Start on a batch. It moves only while `poll` runs."""
        refusals = refusals_in(batch, self.work.index, quarantined) if quarantined else {}
        self._flights.append(Flight(self.work, batch, refusals))
        self._fill()

    def poll(self, timeout: float | None = None, inbound: int | None = None) -> list[Batch]:
        """Finished batches, in the order in which they were begun.

        Waits until there is one, `timeout` seconds have passed or the descriptor `inbound` can be read, whichever
        is first. With nothing under way and nothing to read it returns at once.
        """
        landed = bool(self._flights) and self._flights[0].landed
        if not landed and (self._flights or inbound is not None):
            if self.attempts:
                self.name_oldest(anew=True)
            self._wait(timeout, inbound)
        return list(self._landed())

    def apply(self, batch: Batch, quarantined: Quarantined = NOBODY) -> Batch:
        """One batch in, one batch out. Raises RuntimeError with others under way, whose turn would be first."""
        if self._flights:
            raise RuntimeError("apply was called with batches under way")
        self.begin(batch, quarantined)
        return self.poll()[0]

    def pieces(self, batch: Batch, quarantined: Quarantined = NOBODY) -> Iterator[Batch]:
        yield self.apply(batch, quarantined)

    def close(self) -> None:
        """Cancel what is under way, let the stage put its things away, close the loop."""
        if self._loop is None:
            return
        try:
            self._abandon(self._loop)
            super().close()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()
            self._loop = None

    def _abandon(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        for flight in self._flights:
            flight.want_until(0)
        self._flights.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            loop.run_until_complete(asyncio.wait(self._tasks, timeout=LAST_WORDS))

    @property
    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError(f"the stage {self.work.name} is not set up")
        return self._loop

    def _landed(self) -> Iterator[Batch]:
        while self._flights and self._flights[0].landed:
            yield self._flights.popleft().result()

    def _wait(self, timeout: float | None, inbound: int | None) -> None:
        loop = self._running
        timer = None if timeout is None else loop.call_later(timeout, self._wake)
        if inbound is not None:
            loop.add_reader(inbound, self._wake)
        try:
            self._spin(loop)
        finally:
            if timer is not None:
                timer.cancel()
            if inbound is not None:
                loop.remove_reader(inbound)

    def _spin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._woken = False
        while not self._woken:
            # From a task of the transform's own it comes out here too; whoever awaits that task is told as well.
            with suppress(SystemExit):
                loop.run_forever()

    def _wake(self) -> None:
        self._woken = True
        self._running.stop()

    def _fill(self) -> None:
        """Begin calls while there are places, the oldest batch first."""
        places = 1 if self.watched else self._places
        for flight in self._flights:
            while flight.waiting and len(self._tasks) < places:
                self._start(flight, *flight.waiting.popleft())

    def _start(self, flight: Flight, start: int, end: int) -> None:
        task = self._running.create_task(self._called(flight, start, end))
        flight.under_way[start] = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, flight, start, end))

    def _ended(self, flight: Flight, start: int, end: int, task: asyncio.Task[list[Outcome]]) -> None:
        self._tasks.discard(task)
        flight.ended(start, [Outcome(start, end, CANCELLED)] if task.cancelled() else task.result())
        self._fill()
        if self._flights and self._flights[0].landed:
            self._wake()

    @property
    def _noting(self) -> bool:
        """Whether the slot names the oldest attempt: one may block the loop, or not let itself be cancelled."""
        return (self.watched or self.work.timeout is not None) and not isinstance(self.slot, NoSlot)

    def name_oldest(self, *, anew: bool = False) -> None:
        """Have the slot say which attempt has lasted longest. anew: it has told of something else since."""
        oldest = next(iter(self.attempts), None)
        if oldest is self._named and not anew:
            return
        self._named = oldest
        if oldest is None:
            self.slot.leave()
        else:
            self.slot.enter(oldest.record, oldest.since, oldest.batch)

    async def _called(self, flight: Flight, start: int, end: int) -> list[Outcome]:
        """The outcome of a call; for a list that failed in a stage without state, of a call for each record."""
        alone = end - start == 1 or self.work.form.state
        outcome = await self._outcome(flight, start, end, retried=alone)
        if alone or not isinstance(outcome.found, Trouble):
            return [outcome]
        return await self._one_by_one(flight, start, end)

    async def _one_by_one(self, flight: Flight, start: int, end: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for index in range(start, end):
            if not flight.wants(index) or (outcomes and flight.halts(outcomes[-1])):
                break
            outcomes.append(await self._outcome(flight, index, index + 1, retried=True, fresh=True))
        return outcomes

    async def _outcome(self, flight: Flight, start: int, end: int, *, retried: bool, fresh: bool = False) -> Outcome:
        """fresh: the records as they came, since a call has had them before."""
        voice = ambient.Voice()
        ambient.current.set(voice)
        try:
            found = await self._found(flight, start, end, retried, fresh)
        except BaseException as error:
            found = trouble_of(error)
        return Outcome(start, end, found, voice.extra, voice.said_enough)

    async def _found(self, flight: Flight, start: int, end: int, retried: bool, fresh: bool) -> Any:
        if start in flight.refusals:
            return trouble_of(Refusal(*flight.refusals[start]))
        records, again = flight.batch.records, partial(self._argument, flight.batch, start, end)
        argument = again() if fresh else records[start:end] if self.work.form.batch else records[start]
        clock = Attempt(self, flight.batch, start) if self._noting else None
        found = await self._caller.attempt(argument, clock)
        if retried and isinstance(found, Trouble):
            return await self._caller.again(again, found, partial(flight.wants, start), clock)
        return found

    def _argument(self, batch: Batch, start: int, end: int) -> Any:
        """What to call with once more: the records as they came."""
        if not self.work.form.batch:
            return as_it_came(batch, start)
        return [as_it_came(batch, index) for index in range(start, end)]

    def _settled(self, value: Any) -> Any:
        """What a method gave, awaited where it is `async def`."""
        return self._running.run_until_complete(_awaited(value)) if hasattr(value, "__await__") else value

    def _flush_results(self) -> Iterable[Any] | None:
        found = super()._flush_results()
        return self._drawn(found) if hasattr(found, "__anext__") else found

    def _drawn(self, results: Any) -> Iterator[Any]:
        with suppress(StopAsyncIteration):
            while True:
                yield self._running.run_until_complete(_awaited(results.__anext__()))


class Attempt:
    """One attempt at a record, or at a list that begins with it, while it lasts."""

    def __init__(self, stage: AwaitingEvaluator, batch: Batch, record: int) -> None:
        self._stage = stage
        self.batch = batch
        self.record = record
        self.since = 0

    def start(self) -> None:
        self.since = monotonic_ns()
        self._stage.attempts[self] = None
        self._stage.name_oldest()

    def stop(self) -> None:
        self._stage.attempts.pop(self, None)
        self._stage.name_oldest()


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


# Attempts


class Clock(Protocol):
    """Told when an attempt begins and ends."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class Caller(NamedTuple):
    """How an async transform is called."""

    work: Work
    call: Callable[[Any], Awaitable[Any]]
    pace: Pace | None = None
    own: Callable[[Any], Any] = own

    async def attempt(self, argument: Any, clock: Clock | None = None) -> Any:
        """What one call gives, in the shape an Outcome has it; Trouble where it raises. clock: told while it lasts."""
        import asyncio

        if self.pace is not None and (wait := self.pace.ask()):
            await asyncio.sleep(wait)
        deadline = asyncio.timeout(self.work.timeout)
        if clock is not None:
            clock.start()
        try:
            async with deadline:
                found = await self.call(argument)
            return self._read(argument, found)
        except BaseException as error:
            return self._overtime(error) if deadline.expired() else trouble_of(error)
        finally:
            if clock is not None:
                clock.stop()

    async def again(
        self, argument: Callable[[], Any], trouble: Trouble, wanted: Callable[[], bool], clock: Clock | None = None
    ) -> Any:
        """What a later attempt gives, or the Trouble of the last one, as long as it is wanted. argument: makes it."""
        import asyncio

        for number, pause in enumerate(pauses(self.work), start=2):
            if trouble.final or not wanted():
                break
            await asyncio.sleep(pause)
            found = await self.attempt(argument(), clock)
            if not isinstance(found, Trouble):
                return found
            trouble = found._replace(attempts=number)
        return trouble

    def _read(self, argument: Any, found: Any) -> Any:
        if self.work.form.batch:
            return as_list(found, self.work.growth * len(argument), self.own)
        return self._drained(found) if self.work.form.many else self.own(found)

    def _drained(self, found: Iterable[Any]) -> list[Any]:
        pile = Pile(self.work.growth, self.own)
        pile.add(found)
        return pile.results

    def _overtime(self, error: BaseException) -> Trouble:
        """The cause is the cancellation: its traceback says where the transform was waiting."""
        where = (error.__cause__ or error).__traceback__
        return Trouble("Timeout", f"took longer than {self.work.timeout:g} s", frames_of(where))
