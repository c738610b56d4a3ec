"""`python -m chaos_support.shim CALL ERROR WHEN COMMAND…`: the command, its system refusing a call, or all from one on.

CALL: a name in CALLS. ERROR: an errno's name, or `short` for writes that take one byte less than asked, or `EINTR`.
WHEN: `3` is the third call, `3+` it and all that follow. Only this process is meant: workers are other programs.
"""

from __future__ import annotations

import errno
import io
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Refusals:
    """Which calls are refused, and how."""

    def __init__(self, error: str, when: str) -> None:
        self.error = error
        self._from = int(when.rstrip("+"))
        self._for_ever = when.endswith("+")
        self._calls = 0

    def now(self) -> bool:
        self._calls += 1
        return self._calls == self._from or (self._for_ever and self._calls > self._from)

    def refuse(self) -> None:
        number = getattr(errno, self.error)
        raise OSError(number, os.strerror(number))

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def refusing(*arguments: Any, **named: Any) -> Any:
            if self.now():
                self.refuse()
            return call(*arguments, **named)

        return refusing

    def around_write(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Descriptors up to 2 are the terminal's: refusing them would only hide the message."""

        def writing(fd: int, data: Any, *more: Any) -> Any:
            if fd <= 2 or not self.now():
                return call(fd, data, *more)
            if self.error != "short":
                self.refuse()
            return call(fd, memoryview(data)[: max(1, len(data) - 1)], *more)

        return writing


def install(call: str, refusals: Refusals) -> None:
    """Replace the call by one that may fail."""
    CALLS[call](refusals)


def _os(*names: str) -> Callable[[Refusals], None]:
    def put(refusals: Refusals) -> None:
        for name in names:
            setattr(os, name, refusals.around(getattr(os, name)))

    return put


def _write(refusals: Refusals) -> None:
    os.write = refusals.around_write(os.write)


def _file_write(refusals: Refusals) -> None:
    """The file of a sink."""

    class File(io.FileIO):
        def write(self, data: Any) -> int:
            if not refusals.now():
                return super().write(data)
            if refusals.error != "short":
                refusals.refuse()
            return super().write(memoryview(data)[: max(1, len(data) - 1)])

    io.FileIO = File


def _file_truncate(refusals: Refusals) -> None:
    class File(io.FileIO):
        def truncate(self, size: int | None = None) -> int:
            if refusals.now():
                refusals.refuse()
            return super().truncate(size)

    io.FileIO = File


def _database(refusals: Refusals) -> None:
    """The journal, or the database of a sink: SQLite has errors of its own."""

    class Base(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            if refusals.now():
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(*arguments)

    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **named: connect(*arguments, factory=Base, **named)


def _open(refusals: Refusals) -> None:
    """Only files that are opened for writing."""

    def opening(call: Callable[..., Any]) -> Callable[..., Any]:
        def open_or_not(path: Any, how: Any = 0, *more: Any, **named: Any) -> Any:
            writes = isinstance(how, int) and how & (os.O_WRONLY | os.O_RDWR)
            if writes and refusals.now():
                refusals.refuse()
            return call(path, how, *more, **named)

        return open_or_not

    os.open = opening(os.open)


def _rename(refusals: Refusals) -> None:
    os.rename, os.replace = refusals.around(os.rename), refusals.around(os.replace)
    Path.replace = lambda self, target: (os.replace(self, target), Path(target))[1]


def _popen(refusals: Refusals) -> None:
    start = subprocess.Popen.__init__

    def starting(self: Any, *arguments: Any, **named: Any) -> None:
        if refusals.now():
            self.returncode = 1
            refusals.refuse()
        start(self, *arguments, **named)

    subprocess.Popen.__init__ = starting


CALLS: dict[str, Callable[[Refusals], None]] = {
    "write": _write,
    "writev": _os("writev"),
    "readv": _os("readv"),
    "file write": _file_write,
    "file truncate": _file_truncate,
    "fsync": _os("fsync"),
    "ftruncate": _os("ftruncate"),
    "rename": _rename,
    "open": _open,
    "pipe": _os("pipe"),
    "memfd_create": _os("memfd_create"),
    "database": _database,
    "popen": _popen,
}


def main() -> int:
    call, error, when, *command = sys.argv[1:]
    install(call, Refusals(error, when))
    sys.argv = ["stagerunner", *command]
    from stagerunner.__main__ import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
