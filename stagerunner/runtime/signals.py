"""Signals that stop a run: the first one halts and commits, the second one ends at once. `grace` is always kept.

    a signal ──▶ handler: the loop halts ──▶ commit ──▶ Interrupted
        └──────▶ watchdog: a second signal, or grace is over ──▶ message, exit

The handler runs between two instructions of Python code. A plugin's call may not return: a sink that waits for a locked
database, a write that no process reads. So the interpreter notifies a thread as well, through a pipe. The thread
commits nothing: what is not in the journal by then is left to `--resume`.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from stagerunner.errors import Interrupted
from stagerunner.events import Notice
from stagerunner.inherited import STOPPING

if TYPE_CHECKING:
    from stagerunner.runtime.session import Session

HINT = "; --resume goes on from there"
HINT_NOW = "; --resume goes on from the last commit"

AFTER_GRACE = 0.5
"""Seconds beyond grace for the last commit and its message."""


HELD_UP = 1.0
"""Seconds of grace that are left when a stage pauses beyond its end (`RetryLater`): nothing it has will come back."""


class Signals:
    """While it is entered, and in the main thread only, SIGINT, SIGTERM and SIGHUP stop the session in good order.

    last_words: reports why the process ends; it must not block. to_the_end: the process ends with this context, so
    later signals are ignored: how the run ended is reported already.
    """

    def __init__(self, grace: float, last_words: Callable[[Interrupted], None], *, to_the_end: bool = False) -> None:
        self._to_the_end = to_the_end
        self._grace = grace
        self._last_words = last_words
        self._session: Session | None = None
        self._before: dict[int, Any] = {}
        self._deadline = 0.0
        self._number: int | None = None
        self._noticed = False
        self._ending = threading.Lock()
        self._watchdog: Watchdog | None = None

    def __enter__(self) -> Signals:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._watchdog = Watchdog(self._grace + AFTER_GRACE, self._end_now)
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._to_the_end else before)
        if self._watchdog is not None:
            self._watchdog.close()

    def stop(self, session: Session) -> None:
        """Stop this session at the next signal; at once if a signal has come already."""
        self._session = session
        if self._number is not None:
            session.halt()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None:
            self._end_now(number, again=True)
            return
        self._number = number
        self._deadline = monotonic() + self._grace
        if self._session is not None:
            self._session.halt()

    def time_is_up(self) -> bool:
        """Whether the grace of a stopping run is over. Reports once that the run is stopping."""
        if self._number is None:
            return False
        if not self._noticed and self._session is not None and not self._session.done_before:
            self._noticed = True  # not in the handler, which may interrupt another report
            again = "; press Ctrl-C again to stop now" if self._number == signal.SIGINT else ""
            drained = f"the records in flight, for up to {self._grace:g} s, because a stage has state"
            what = drained if self._session.loop.drains else "the records in hand"
            self._session.tell(Notice(f"stopping: finishing {what}{again}"))
        now = monotonic()
        if self._session is not None and now + HELD_UP < self._deadline < now + self._session.pausing:
            self._deadline = now + HELD_UP
        return now > self._deadline

    def end(self) -> None:
        """Commit everything accepted and raise Interrupted, if a signal has stopped the run."""
        if self._number is None or self._session is None or self._session.done_before:
            return
        hint = hint_after(self._session.to_read_again) if self._session.interrupted() else ""
        out = self._session.delivery.ledger.out
        written = "1 record" if out == 1 else f"{out:,} records"
        raise Interrupted(f"stopped by {named(self._number)} after {written} had been written{hint}", self._number)

    def _end_now(self, number: int, *, again: bool) -> None:
        """End the process, once: from the handler of a second signal, or from the watchdog."""
        if not self._ending.acquire(blocking=False):
            return
        session = self._session
        hint = ""
        if session is not None:
            session.kill()
            hint = HINT_NOW if session.resumable else ""
        why = "for the second time" if again else f"and not done {self._grace:g} s later"
        with suppress(BaseException):  # the process ends whatever happens
            self._last_words(Interrupted(f"stopped by {named(number)} {why}; nothing more was committed{hint}", number))
        os._exit(128 + number)


def hint_after(again: int) -> str:
    """How to go on. again: records that a resume reads again, since they stand behind the source's last mark."""
    if not again:
        return HINT
    records = "the record" if again == 1 else f"the {again} records"
    return f"; --resume goes on from the source's last mark, and reads again {records} after it"


def named(number: int) -> str:
    return signal.Signals(number).name


class Watchdog:
    """A thread that gets signals whatever the main thread does, as long as that releases the interpreter lock.

    Made and closed in the main thread. end: called with the signal's number, and whether it is the second one.
    """

    def __init__(self, patience: float, end: Callable[..., None]) -> None:
        self._patience = patience
        self._end = end
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._before = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="stagerunner-watchdog", daemon=True)
        with suppress(RuntimeError):  # no thread can be started: the handlers must do
            self._thread.start()

    def _watch(self) -> None:
        with suppress(OSError):  # a plugin closed the pipe: the handlers must do
            self._wait()

    def _wait(self) -> None:
        first, deadline = 0, 0.0
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        while True:
            if not poll.poll(max(0.0, deadline - monotonic()) * 1000 if first else None):
                self._end(first, again=False)
                return
            for number in os.read(self._reading, 64) or (0,):
                if not number:
                    return
                if first and number in STOPPING:
                    self._end(number, again=True)
                elif number in STOPPING:
                    first, deadline = number, monotonic() + self._patience

    def close(self) -> None:
        """Stop the thread and close the pipe."""
        signal.set_wakeup_fd(self._before)
        with suppress(OSError):
            os.close(self._writing)
        if self._thread.ident is not None:
            self._thread.join()
        with suppress(OSError):
            os.close(self._reading)
