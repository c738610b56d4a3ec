"""What workers print: one pipe a worker, read by the parent, told with the worker's name."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from functools import partial

from stagerunner.chain.hire import Hire

Lines = Callable[[str, int, bytes], None]
"""Told what a worker printed: stage, worker, bytes (b"" when it will print no more)."""


class Printed:
    """The reading ends of an epoch's workers."""

    def __init__(self, selector: selectors.BaseSelector, lines: Lines) -> None:
        self._selector = selector
        self._lines = lines
        self._hires: dict[int, Hire] = {}

    def watch(self, fd: int, hire: Hire) -> None:
        """Read this descriptor from now on; it is ours."""
        os.set_blocking(fd, False)
        self._hires[fd] = hire
        self._selector.register(fd, selectors.EVENT_READ, partial(self._read, fd))

    def _read(self, fd: int) -> bool:
        """Read once; whether there may be more."""
        hire = self._hires[fd]
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return False
        self._lines("+".join(hire.names) or "copy", hire.number, data)
        if not data:
            self._forget(fd)
        return bool(data)

    def _forget(self, fd: int) -> None:
        self._selector.unregister(fd)
        os.close(fd)
        del self._hires[fd]

    def close(self) -> None:
        """Tell what is still to be read, and close."""
        for fd in list(self._hires):
            while fd in self._hires and self._read(fd):
                pass
            if fd in self._hires:
                self._forget(fd)
