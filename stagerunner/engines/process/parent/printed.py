"""What workers print: one pipe for each worker, read by the parent and passed on with the worker's name."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from functools import partial

OnPrinted = Callable[[str, int, bytes], None]
"""Called with what a worker printed: stage, worker, bytes (b"" at the end)."""


class Printed:
    """Reads what workers, or a source process, print."""

    def __init__(self, selector: selectors.BaseSelector, lines: OnPrinted) -> None:
        self._selector = selector
        self._lines = lines
        self._names: dict[int, tuple[str, int]] = {}

    def watch(self, fd: int, name: str, number: int = 0) -> None:
        """Read this descriptor from now on, and close it at its end."""
        os.set_blocking(fd, False)
        self._names[fd] = (name, number)
        self._selector.register(fd, selectors.EVENT_READ, partial(self._read, fd))

    def _read(self, fd: int) -> bool:
        """Read once; whether there may be more."""
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        self._lines(*self._names[fd], data)
        if not data:
            self._forget(fd)
        return bool(data)

    def _forget(self, fd: int) -> None:
        self._selector.unregister(fd)
        os.close(fd)
        del self._names[fd]

    def close(self) -> None:
        """Pass on what can still be read, and close."""
        for fd in list(self._names):
            while fd in self._names and self._read(fd):
                pass
            if fd in self._names:
                self._forget(fd)
