"""Calls that fail: retries, and failures as text. An exception object is never kept."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from stagerunner.errors import Reject
from stagerunner.evaluate.wording import bounded, causes_of, frames_of, message_of, type_of
from stagerunner.evaluate.work import Work
from stagerunner.records import Cause, CodeFrame, Failure
from stagerunner.tuples import NamedTuple


class Refusal(Exception):
    """Raised by the runner for a record that fails and must not be retried. type: the failure's type."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type


class CallFailure(NamedTuple):
    """A failed call as text, not yet tied to a record. final: a retry wouldn't help."""

    type: str
    message: str
    frames: tuple[CodeFrame, ...] = ()
    attempts: int = 1
    final: bool = False
    causes: tuple[Cause, ...] = ()

    def for_record(self, stage: int, origin: int, ordinal: int, policy: str, record: Any = None) -> Failure:
        """The Failure of this record."""
        fields = (self.type, self.message, policy, self.frames, self.attempts)
        return Failure(stage, origin, ordinal, *fields, record, causes=self.causes)


RETURNED_NONE = CallFailure(
    "NoneReturned",
    "returned None; declare `-> ... | None` to drop records, or return the record",
    final=True,
)


on_exception: Callable[[BaseException], None] | None = None
"""Called with each exception of user code while its frames exist. The debugger of the inline engine sets it."""


def failure_of(error: BaseException, handled: BaseException | None = None) -> CallFailure:
    """An exception as text. handled: as in `causes_of`."""
    if isinstance(error, Refusal):
        return CallFailure(error.type, bounded(str(error)), final=True)
    if on_exception is not None:
        on_exception(error)
    return CallFailure(
        type_of(error),
        message_of(error),
        frames_of(error.__traceback__),
        final=isinstance(error, Reject),
        causes=causes_of(error, handled),
    )


def retry_delays(work: Work) -> Iterator[float]:
    """Seconds to wait before the second attempt, the third, … as many as `work` allows."""
    return islice(_growing(work), max(0, work.attempts - 1))


def _growing(work: Work) -> Iterator[float]:
    delay = work.delay
    while True:
        yield min(delay, work.longest)
        # Capped each time, so that no number of attempts overflows.
        delay = min(delay, work.longest) * work.factor


def retry(call: Callable[[Any], Any], argument: Callable[[], Any], call_failure: CallFailure, work: Work) -> Any:
    """Try again as often as `work` allows: the result, or the CallFailure of the last attempt.

    call_failure: of the first attempt. argument: makes the call's argument anew, since a failed attempt may have
    changed it.
    """
    handled = sys.exception()
    for number, delay in enumerate(retry_delays(work), start=2):
        if call_failure.final:
            break
        time.sleep(delay)
        try:
            return call(argument())
        except BaseException as error:
            call_failure = failure_of(error, handled)._replace(attempts=number)
    return call_failure
