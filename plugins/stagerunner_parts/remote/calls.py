"""Calls that may take long, in threads: whoever waits for one does so as long as it likes, and can leave it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

GLANCE = 0.01
"""Seconds for which the parent's loop waits for bytes before it turns to something else."""

CHUNKS = 8
"""Chunks that wait to be taken."""


class Call(Generic[T]):
    """A call in a thread of its own, which ends with the process if nobody waits for it any more."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._result: T
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="remote call", daemon=True).start()

    def _run(self) -> None:
        try:
            self._result = self._function()
        except BaseException as error:
            self._error = error
        self._done.set()

    def ended(self, seconds: float) -> bool:
        """Wait at most so long for its end."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """What it gave, or raises what it raised. Only after its end."""
        if self._error is not None:
            raise self._error
        return self._result


class Pump:
    """Takes chunks from an iterator in a thread, a few ahead of whoever asks for them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._waiting: Queue[bytes | BaseException] = Queue(CHUNKS)
        self._closed = False
        threading.Thread(target=self._run, name="remote reading", daemon=True).start()

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if chunk and not self._put(chunk):
                    return
            self._put(b"")
        except BaseException as error:
            self._put(error)

    def _put(self, item: bytes | BaseException) -> bool:
        """Whether somebody still wants it."""
        while not self._closed:
            try:
                self._waiting.put(item, timeout=1)
            except Full:
                continue
            return True
        return False

    def next(self) -> bytes | None:
        """The next chunk; none at the end; None if it isn't here yet. Raises what the iterator raised."""
        try:
            item = self._waiting.get(timeout=GLANCE)
        except Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Nobody wants the rest."""
        self._closed = True
