"""What becomes of a call that failed: tried again, or put into words. An exception object is never kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any

from stagerunner.errors import Reject
from stagerunner.evaluate.work import Work
from stagerunner.records import CodeFrame
from stagerunner.tuples import NamedTuple

MOST_FRAMES = 20
_OURS = __name__.partition(".")[0] + "."


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


RETURNED_NONE = Trouble(
    "NoneReturned",
    "returned None; declare `-> ... | None` to drop records, or return the record",
    final=True,
)


def trouble_of(error: BaseException) -> Trouble:
    """An exception in words."""
    if isinstance(error, Refusal):
        return Trouble(error.type, str(error), final=True)
    return Trouble(
        type(error).__name__, message_of(error), frames_of(error.__traceback__), final=isinstance(error, Reject)
    )


def message_of(error: BaseException) -> str:
    """Its text, whatever its class makes of `str`."""
    try:
        # A subclass of str could not cross to a process that doesn't know it.
        return str.__str__(str(error))
    except BaseException:
        return f"<unprintable {type(error).__name__}>"


def frames_of(traceback: TracebackType | None) -> tuple[CodeFrame, ...]:
    """The lines of a traceback that are not ours, the last MOST_FRAMES of them, outermost first."""
    return tuple(deque(_theirs(traceback), MOST_FRAMES))


def _theirs(traceback: TracebackType | None) -> Iterator[CodeFrame]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not str(traceback.tb_frame.f_globals.get("__name__")).startswith(_OURS):
            yield CodeFrame(code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next


def pauses(work: Work) -> Iterator[float]:
    """Seconds to wait before the second attempt, the third, … as many as `work` allows."""
    return islice(_growing(work), max(0, work.attempts - 1))


def _growing(work: Work) -> Iterator[float]:
    pause = work.delay
    while True:
        yield min(pause, work.longest)
        # Capped each time, so that no number of attempts overflows.
        pause = min(pause, work.longest) * work.factor


def again(call: Callable[[Any], Any], argument: Any, trouble: Trouble, work: Work) -> Any:
    """What a later attempt gives, or the Trouble of the last one. `trouble`: what came of the first."""
    for number, pause in enumerate(pauses(work), start=2):
        if trouble.final:
            break
        time.sleep(pause)
        try:
            return call(argument)
        except BaseException as error:
            trouble = trouble_of(error)._replace(attempts=number)
    return trouble
