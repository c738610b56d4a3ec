"""Records of a caller's iterator, which may wait as long as it likes, even for results of the same run.

    iterator ─▶ a thread of its own ─▶ as many records as asked for ─▶ DrawnRecords ─▶ loop

The thread uses the iterator and nothing else. It draws no more records than the loop has asked for, wakes the loop
through a pipe, and sleeps otherwise. A thread that waits in the iterator when the run ends can't be stopped. It is left
behind, touches nothing of the run, and ends when the iterator returns.
"""

from __future__ import annotations

import selectors
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from time import monotonic
from types import GeneratorType
from typing import Any

from stagerunner.engines.bell import Bell
from stagerunner.evaluate.copying import defensive_copy
from stagerunner.parts.source import Want
from stagerunner.runtime.input import GivenRecords, PendingSplit

PARTING = 0.1
"""Seconds that the end of a run waits for the thread."""

SLOW = 0.0001
"""Seconds per record from which on a record is sent alone if nothing is on its way."""

FADING = 0.9
"""How much of a slow pace is kept from one batch of records to the next."""

_CONTAINERS: tuple[Any, ...] = ([], (), range(0), set(), frozenset(), {}, {}.values(), {}.items(), deque())
PROMPT = {type(one) for one in _CONTAINERS} | {type(iter(one)) for one in _CONTAINERS} | {count}
"""Types whose iterators never wait: no thread is needed."""


def given(records: Iterable[Any], selector: selectors.BaseSelector, linger: float) -> GivenRecords:
    """The split source for records of the caller. Raises what the iterable's `__iter__` raises."""
    if type(records) in PROMPT or type(records).__module__ == "sqlite3":  # a cursor must stay in its thread
        return GivenRecords(records, linger)
    return DrawnRecords(iter(records), selector, linger)


class Drawing:
    """What thread and loop share. drawn: records that wait. over: there will be no more. error: why, if it failed.
    wake: wakes the loop."""

    def __init__(self, iterator: Iterator[Any], wake: Callable[[], None]) -> None:
        self.drawn: deque[Any] = deque()
        self.over = False
        self.error: BaseException | None = None
        self.watched = False
        """The loop wants to be woken by the next record."""
        self._iterator = iterator
        self._wake = wake
        self._wanted = 0
        self._stopped = False
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None

    # The loop

    def ask(self, wanted: int) -> None:
        """Ask for so many waiting records."""
        with self._change:
            self._wanted = wanted
            self._change.notify()
        if self._thread is None:
            # A daemon: it may wait forever, and the program must be able to exit.
            self._thread = threading.Thread(target=self._run, name="stagerunner records", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        with self._change:
            self._stopped = True
            self._change.notify()
        if self._thread is None:
            self._close()
        elif self._thread is not threading.current_thread():  # else the garbage collector runs in it
            self._thread.join(PARTING)

    # The thread

    def _run(self) -> None:
        try:
            while (room := self._room()) and self._draw(room):
                self._wake()
        except BaseException as error:
            self.error = error
        self.over = True
        self._wake()
        self._close()

    def _room(self) -> int:
        """Wait until records are wanted; how many, or 0 at the end."""
        with self._change:
            while not self._stopped and len(self.drawn) >= self._wanted:
                self._change.wait()
            return 0 if self._stopped else self._wanted - len(self.drawn)

    def _draw(self, room: int) -> bool:
        """Draw up to `room` records; whether there may be more."""
        drawn = 0
        for record in islice(self._iterator, room):
            self.drawn.append(defensive_copy(record))
            drawn += 1
            if self.watched:
                self.watched = False
                self._wake()
            if self._stopped:
                return False
        return drawn == room

    def _close(self) -> None:
        """Close a generator. Python reports what it raises as an error of the thread."""
        if isinstance(self._iterator, GeneratorType):
            self._iterator.close()


class DrawnRecords(GivenRecords):
    """The loop's side. idle: says whether nothing is on its way; a record then does not wait for company."""

    def __init__(self, iterator: Iterator[Any], selector: selectors.BaseSelector, linger: float) -> None:
        super().__init__((), linger)
        self._selector = selector
        self._bell = Bell()
        selector.register(self._bell.fd, selectors.EVENT_READ, self._bell.silence)
        self._drawing = Drawing(iterator, self._bell.ring)
        self._asked: float | None = None
        self._pace = SLOW
        self._wanted = 1
        self.idle: Callable[[], bool] = lambda: True

    @property
    def prompt(self) -> bool:  # type: ignore[override]
        return bool(self._drawing.drawn or self._drawing.over) and self.due() == 0

    def due(self) -> float | None:
        """Seconds until waiting records must be sent; None if none wait."""
        drawing = self._drawing
        if drawing.over:
            return 0
        if not drawing.drawn or self._asked is None:
            return None
        if len(drawing.drawn) >= self._wanted or (self._pace >= SLOW and self.idle()):
            return 0
        return max(0.0, self._asked + self._linger - monotonic())

    def next(self, want: Want) -> PendingSplit | None:
        drawing, self._wanted = self._drawing, want.records
        if self.ended:
            return None
        if drawing.drawn and self.due() == 0:
            return self._pending_split(self._next_records(want.records))
        if drawing.over and not drawing.drawn:
            self.ended, self.error = True, drawing.error
            return None
        if self._asked is None:
            self._asked = monotonic()
        drawing.watched = not drawing.drawn
        drawing.ask(want.records)
        return None

    def _next_records(self, most: int) -> list[Any]:
        drawn = self._drawing.drawn
        records = [drawn.popleft() for _ in range(min(most, len(drawn)))]
        if self._asked is not None:
            self._pace = max((monotonic() - self._asked) / len(records), FADING * self._pace)
            self._asked = None
        return records

    def close(self) -> None:
        self.ended = True
        if not self._bell.closed:
            self._selector.unregister(self._bell.fd)
            self._drawing.stop()
            self._bell.close()
