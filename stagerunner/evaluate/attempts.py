"""One call of an async transform: its turn, its deadline, its retries.

asyncio is imported where it is used: only a worker that awaits pays for it, about as much as for the rest of its start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from stagerunner.evaluate.forms import as_list
from stagerunner.evaluate.growth import Pile
from stagerunner.evaluate.own import own
from stagerunner.evaluate.pace import Pace
from stagerunner.evaluate.policy import Trouble, pauses, trouble_of
from stagerunner.evaluate.wording import frames_of
from stagerunner.evaluate.work import Work
from stagerunner.tuples import NamedTuple


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
