"""Being told to stop: the first signal drains and commits, the second one kills at once."""

from __future__ import annotations

import os
import signal
import threading
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from stagerunner.errors import Interrupted
from stagerunner.events import Notice

if TYPE_CHECKING:
    from stagerunner.engines.session import Session

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While it is entered, and in the main thread only, SIGINT, SIGTERM and SIGHUP stop the session in good order."""

    def __init__(self, session: Session, *, on: bool) -> None:
        self._session = session
        self._on = on and threading.current_thread() is threading.main_thread()
        self._before: dict[int, Any] = {}
        self._deadline = 0.0
        self._number: int | None = None

    def __enter__(self) -> Signals:
        for number in STOPPING if self._on else ():
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                self._before[number] = signal.signal(number, self._told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None:
            # From here, since nothing else may be running: the loop can stand in a sink's write.
            self._session.kill()
            os._exit(128 + number)
        self._number = number
        self._deadline = monotonic() + self._session.plan.run.grace
        self._session.loop.drain()
        in_flight = len(self._session.loop.window.on_way)
        again = "; once more to stop now" if number == signal.SIGINT else ""
        self._session.tell(Notice(f"stopping: finishing {in_flight} frames in flight{again}"))

    def time_is_up(self) -> bool:
        """Whether the grace given to a stopping run is over."""
        return self._number is not None and monotonic() > self._deadline

    def end(self) -> None:
        """Raises Interrupted if a signal has ended the run; everything accepted is committed first."""
        if self._number is None:
            return
        name = signal.Signals(self._number).name
        resumable = self._session.interrupted()
        hint = "; --resume goes on from there" if resumable else ""
        out = self._session.delivery.books.out
        raise Interrupted(f"stopped by {name} after {out} records had been written{hint}", self._number)
