"""What becomes of a call that failed: tried again, or put into words. An exception object is never kept."""

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
    """A record fails for a reason of ours that trying again won't change. type: the word for it."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type


class Trouble(NamedTuple):
    """A failure in words, before it is known whose. final: trying again won't help."""

    type: str
    message: str
    frames: tuple[CodeFrame, ...] = ()
    attempts: int = 1
    final: bool = False
    causes: tuple[Cause, ...] = ()

    def failure(self, stage: int, origin: int, ordinal: int, policy: str, record: Any = None) -> Failure:
        """The same with the record it befell."""
        told = (self.type, self.message, policy, self.frames, self.attempts)
        return Failure(stage, origin, ordinal, *told, record, causes=self.causes)


RETURNED_NONE = Trouble(
    "NoneReturned",
    "returned None; declare `-> ... | None` to drop records, or return the record",
    final=True,
)


look: Callable[[BaseException], None] | None = None
"""Shown each exception of user code while its frames are there: by a debugger, in the one process of `inline`."""


def trouble_of(error: BaseException, handled: BaseException | None = None) -> Trouble:
    """An exception in words. handled: as `causes_of` takes it."""
    if isinstance(error, Refusal):
        return Trouble(error.type, bounded(str(error)), final=True)
    if look is not None:
        look(error)
    return Trouble(
        type_of(error),
        message_of(error),
        frames_of(error.__traceback__),
        final=isinstance(error, Reject),
        causes=causes_of(error, handled),
    )


def pauses(work: Work) -> Iterator[float]:
    """Seconds to wait before the second attempt, the third, … as many as `work` allows."""
    return islice(_growing(work), max(0, work.attempts - 1))


def _growing(work: Work) -> Iterator[float]:
    pause = work.delay
    while True:
        yield min(pause, work.longest)
        # Capped each time, so that no number of attempts overflows.
        pause = min(pause, work.longest) * work.factor


def again(call: Callable[[Any], Any], argument: Callable[[], Any], trouble: Trouble, work: Work) -> Any:
    """What a later attempt gives, or the Trouble of the last one. `trouble`: what came of the first.

    argument: makes what to call it with, since an attempt that failed may have changed that.
    """
    handled = sys.exception()
    for number, pause in enumerate(pauses(work), start=2):
        if trouble.final:
            break
        time.sleep(pause)
        try:
            return call(argument())
        except BaseException as error:
            trouble = trouble_of(error, handled)._replace(attempts=number)
    return trouble
