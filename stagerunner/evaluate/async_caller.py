"""One call of an async transform: pacing, its time limit, retries, and checks of what it returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from stagerunner.evaluate.copying import defensive_copy
from stagerunner.evaluate.failures import (
    CallFailure,
    asks_for_pause,
    failure_of,
    retry_delays,
    without_patience,
)
from stagerunner.evaluate.forms import as_list
from stagerunner.evaluate.limits.budget import Budget
from stagerunner.evaluate.limits.pacing import Pacer
from stagerunner.evaluate.outcome.growth import ResultList
from stagerunner.evaluate.wording import frames_of
from stagerunner.evaluate.work import Work
from stagerunner.tuples import NamedTuple


class AttemptObserver(Protocol):
    """Called when an attempt begins and ends."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class AsyncCaller(NamedTuple):
    """Calls an async transform: pacing, timeout, retries, and checks of what it returns."""

    work: Work
    call: Callable[[Any], Awaitable[Any]]
    pacer: Pacer
    copy: Callable[[Any], Any] = defensive_copy
    budget: Budget | None = None

    async def attempt(self, argument: Any, observer: AttemptObserver | None = None) -> Any:
        """The result of one call, as in CallOutcome.found; a CallFailure if it raises. Raises Spent and Halted."""
        if self.pacer.waits:
            await self.pacer.turn()
        if self.budget is not None:
            self.budget.check()
            return await self.budget.spending(self._attempt(argument, observer))
        if observer is not None or self.work.timeout is not None:
            return await self._attempt(argument, observer)
        try:  # the usual call
            return self._checked(argument, await self.call(argument))
        except BaseException as error:
            return failure_of(error)

    async def _attempt(self, argument: Any, observer: AttemptObserver | None) -> Any:
        import asyncio

        deadline = asyncio.timeout(self.work.timeout)
        if observer is not None:
            observer.start()
        try:
            async with deadline:
                found = await self.call(argument)
            return self._checked(argument, found)
        except BaseException as error:
            return self._timed_out(error) if deadline.expired() else failure_of(error)
        finally:
            if observer is not None:
                observer.stop()

    async def retry(
        self,
        argument: Callable[[], Any],
        call_failure: CallFailure,
        wanted: Callable[[], bool],
        observer: AttemptObserver | None = None,
    ) -> Any:
        """Try again as long as the result is wanted: the result, or the CallFailure of the last attempt.

        argument: makes the call's argument anew.
        """
        found = await self.patiently(argument, call_failure, wanted, observer)
        for number, delay in enumerate(retry_delays(self.work), start=2):
            if not isinstance(found, CallFailure) or found.final or not wanted():
                break
            await self.pacer.pause.asleep(delay)
            found = await self.attempt(argument(), observer)
            found = await self.patiently(argument, found, wanted, observer)
            if isinstance(found, CallFailure):
                found = found._replace(attempts=number)
        return found

    async def patiently(
        self,
        argument: Callable[[], Any],
        found: Any,
        wanted: Callable[[], bool],
        observer: AttemptObserver | None = None,
    ) -> Any:
        """Pause and call again as long as the outcome `found` is a `RetryLater`: the outcome of the last call."""
        asked = 0.0
        while asks_for_pause(found, asked) and wanted():
            asked += found.later
            self.pacer.pause.extend(found.later)
            found = await self.attempt(argument(), observer)
        return without_patience(found)

    def _checked(self, argument: Any, found: Any) -> Any:
        if self.work.form.batch:
            return as_list(found, len(argument), self.work, self.copy)
        return self._collected(found) if self.work.form.many else self.copy(found)

    def _collected(self, found: Iterable[Any]) -> list[Any]:
        result_list = ResultList(self.work.growth, self.copy)
        result_list.add(found)
        return result_list.results

    def _timed_out(self, error: BaseException) -> CallFailure:
        """A Timeout failure. The cause is the cancellation; its traceback says where the transform was."""
        where = (error.__cause__ or error).__traceback__
        return CallFailure("Timeout", f"took longer than {self.work.timeout:g} s", frames_of(where))
