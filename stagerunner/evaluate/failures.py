"""Calls that fail: retries, `RetryLater`, and failures as text. An exception object is never kept."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from stagerunner.errors import Drop, Reject, RetryLater
from stagerunner.evaluate.limits.pacing import Halted, Pause
from stagerunner.evaluate.wording import bounded, causes_of, frames_of, message_of, type_of
from stagerunner.evaluate.work import Work
from stagerunner.records import DROP, PASSING, SPENT, Cause, CodeFrame, Failure
from stagerunner.tuples import NamedTuple

HALTED = "halted"
"""The type that stands for no failure: the run was halted before the call. The batch is cut before its record."""

PATIENCE = 3600.0
"""Seconds of pauses that one attempt at a record may ask for with `RetryLater`, in all."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says of a full disk. That is no fault of a record: whatever `on_error` says, the run ends, and can be
resumed. Else a stage with state would go on without what it couldn't keep."""


class Spent(Exception):
    """Raised in place of a call that the budget doesn't allow. The text says why."""


class Refusal(Exception):
    """Raised by the runner for a record that fails and must not be retried. type: the failure's type."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type


class WrongList(Refusal):
    """Raised for what a batch transform returned. It isn't called record by record then: a list of one may look right,
    and be as wrong."""


class CallFailure(NamedTuple):
    """A failed call as text, not yet tied to a record.

    final: a retry wouldn't help. whole: nor would a shorter list. later: it raised `RetryLater` with so many seconds;
    None if it raised anything else. policy: takes the place of the stage's `on_error`, unless it is empty. With DROP it
    is no failure: the record is filtered out.
    """

    type: str
    message: str
    frames: tuple[CodeFrame, ...] = ()
    attempts: int = 1
    final: bool = False
    causes: tuple[Cause, ...] = ()
    whole: bool = False
    later: float | None = None
    policy: str = ""

    def for_record(self, stage: int, origin: int, ordinal: int, policy: str, record: Any = None) -> Failure:
        """The Failure of this record."""
        fields = (self.type, self.message, self.policy or policy, self.frames, self.attempts)
        return Failure(stage, origin, ordinal, *fields, record, causes=self.causes)


RETURNED_NONE = CallFailure(
    "NoneReturned",
    "returned None; declare `-> ... | None` to drop records, or return the record",
    final=True,
)


on_exception: Callable[[BaseException], None] | None = None
"""Called with each exception of user code while its frames exist. The debugger of the inline engine sets it."""


def drop(reason: str) -> CallFailure:
    """What becomes of a record that is filtered out."""
    return CallFailure("Drop", reason, final=True, policy=DROP)


def failure_of(error: BaseException, handled: BaseException | None = None, *, may_drop: bool = True) -> CallFailure:
    """An exception as text. handled: as in `causes_of`. may_drop: there is a record that `Drop` can filter out."""
    if may_drop and isinstance(error, Drop):
        return drop(message_of(error))
    if isinstance(error, Refusal):
        return CallFailure(error.type, bounded(str(error)), final=True, whole=isinstance(error, WrongList))
    if isinstance(error, Spent):
        return CallFailure(SPENT, str(error), final=True, whole=True, policy="fail")
    if isinstance(error, Halted):
        return CallFailure(HALTED, "", final=True, whole=True, policy="fail")
    if isinstance(error, OSError) and error.errno in FULL:
        return CallFailure(PASSING, bounded(str(error.strerror)), final=True, whole=True, policy="fail")
    later = error.seconds if isinstance(error, RetryLater) else None
    if on_exception is not None and later is None:
        on_exception(error)
    return CallFailure(
        type_of(error),
        message_of(error),
        frames_of(error.__traceback__),
        final=isinstance(error, Reject),
        causes=causes_of(error, handled),
        later=later,
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


def asks_for_pause(found: Any, asked: float = 0.0) -> bool:
    """Whether a call raised `RetryLater`, and may: it has asked for so many seconds before."""
    return isinstance(found, CallFailure) and found.later is not None and asked + found.later <= PATIENCE


def without_patience(found: Any) -> Any:
    """The outcome of a call that is not tried again for its `RetryLater`: that is then a failure, and final."""
    if not isinstance(found, CallFailure) or found.later is None:
        return found
    return found._replace(final=True, message=f"{found.message} (it has asked for more than {PATIENCE:,.0f} s in all)")


def retry(
    call: Callable[[Any], Any], argument: Callable[[], Any], call_failure: CallFailure, work: Work, pause: Pause
) -> Any:
    """Try again as often as `work` allows: the result, or the CallFailure of the last attempt.

    call_failure: of the first attempt. argument: makes the call's argument anew, since a failed attempt may have
    changed it.
    """
    handled = sys.exception()
    found = patiently(call, argument, call_failure, pause, handled)
    for number, delay in enumerate(retry_delays(work), start=2):
        if not isinstance(found, CallFailure) or found.final:
            break
        found = patiently(call, argument, _later(delay, call, argument, pause, handled), pause, handled)
        if isinstance(found, CallFailure):
            found = found._replace(attempts=number)
    return found


def patiently(
    call: Callable[[Any], Any],
    argument: Callable[[], Any],
    found: Any,
    pause: Pause,
    handled: BaseException | None = None,
) -> Any:
    """Pause and call again as long as the outcome `found` is a `RetryLater`: the outcome of the last call."""
    asked = 0.0
    while asks_for_pause(found, asked):
        asked += found.later
        pause.extend(found.later)
        found = _later(pause.left(), call, argument, pause, handled)
    return without_patience(found)


def _later(
    seconds: float,
    call: Callable[[Any], Any],
    argument: Callable[[], Any],
    pause: Pause,
    handled: BaseException | None,
) -> Any:
    """The outcome of a call after so many seconds, and after the pause of the stage."""
    try:
        pause.sleep(seconds)
        pause.wait()
    except Halted as halted:
        return failure_of(halted)
    return _attempt(call, argument, handled)


def _attempt(call: Callable[[Any], Any], argument: Callable[[], Any], handled: BaseException | None) -> Any:
    try:
        return call(argument())
    except BaseException as error:
        return failure_of(error, handled)
