"""`--pdb`: a debugger at the user's frame that raised an exception, before the run goes on."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from stagerunner.evaluate import failures
from stagerunner.evaluate.wording import is_ours, message_of, type_of


class PostMortem:
    """Opens the debugger for each exception, until its user quits it; `c` goes on to the next."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._over = False

    def __call__(self, error: BaseException) -> None:
        place = users_place(error.__traceback__)
        if self._over or place is None:
            return
        from pdb import Pdb  # only --pdb needs it

        self._say(f"{type_of(error)}: {message_of(error)}")
        self._say("c: on to the next failure · q: on without the debugger")
        debugger = Pdb(nosigint=True)
        debugger.reset()
        debugger.interaction(None, place)
        self._over = bool(debugger.quitting)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Open the debugger for what stages raise in this process; not if standard input is closed."""
        before, failures.on_exception = failures.on_exception, self if sys.stdin is not None else None
        try:
            yield
        finally:
            failures.on_exception = before


def users_place(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback down to the user's innermost frame, without our frames and without those of libraries below it."""
    places: list[TracebackType] = []
    while traceback is not None:
        if not is_ours(traceback.tb_frame):
            places.append(traceback)
        traceback = traceback.tb_next
    while len(places) > 1 and _of_a_library(places[-1].tb_frame):
        places.pop()
    found: TracebackType | None = None
    for place in reversed(places):
        found = TracebackType(found, place.tb_frame, place.tb_lasti, place.tb_lineno)
    return found


def _of_a_library(frame: FrameType) -> bool:
    paths = sysconfig.get_paths()
    return frame.f_code.co_filename.startswith(tuple(paths[name] for name in ("stdlib", "platstdlib", "purelib")))
