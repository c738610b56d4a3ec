"""Output besides frames: lines that workers print, and standard output, written without blocking."""

from __future__ import annotations

import os
import re
import select
import selectors
from collections.abc import Callable, Iterable, Sequence

from stagerunner.delivery.writers import StdoutWriter
from stagerunner.errors import ReaderGone, RunFailed, StagerunnerError
from stagerunner.evaluate.wording import PACKAGE
from stagerunner.events import Output
from stagerunner.guard import guard, refused

LONGEST_LINE = 16384
"""Bytes of a printed line from which on it is reported in parts."""

NOT_THEIRS = tuple(f'  File "{place}'.encode() for place in (PACKAGE, "<frozen"))
"""Beginnings of lines in the stacks of a hung worker that are not the user's code."""

CRASH = b"Fatal Python error: "
"""How a worker that dies of a fault begins to say where it was."""

MOST_CRASHES = 32
"""Stacks of crashes of one stage that are compared with later ones."""

MOST_LINES = 1000
"""Lines of a crash that are compared."""

_ADDRESS = re.compile(rb"0x[0-9a-f]+")
"""The number of a thread, which differs from crash to crash."""


class PrintedLines:
    """Cuts what workers print into lines, and emits each as an Output event."""

    def __init__(self, tell: Callable[[Output], None]) -> None:
        self._tell = tell
        self._rest: dict[tuple[str, int], bytes] = {}
        self._crashes: dict[str, Crashes] = {}

    def __call__(self, stage: str, worker: int, data: bytes) -> None:
        rest = self._rest.pop((stage, worker), b"") + data
        *lines, rest = rest.split(b"\n")
        if rest and (not data or len(rest) > LONGEST_LINE):
            lines, rest = [*lines, rest], b""
        if rest:
            self._rest[stage, worker] = rest
        for line in lines:
            if line.startswith(NOT_THEIRS):
                continue
            for new in self._new(stage, worker, line):
                self._tell(Output(stage, worker, new.decode(errors="backslashreplace")))
        if not data and stage in self._crashes:
            self._crashes[stage].ended(worker)

    def _new(self, stage: str, worker: int, line: bytes) -> Iterable[bytes]:
        """The line, with those held back before it; nothing if a crash says again what an earlier one said."""
        if stage not in self._crashes:
            if not line.startswith(CRASH):
                return (line,)
            self._crashes[stage] = Crashes()
        return self._crashes[stage].new(worker, line)


class Crashes:
    """The stack traces of workers of one stage that a fatal signal ended. Each trace is printed once.

    A record that crashes its worker does so several times before it is quarantined, each time with the same trace. Of a
    later crash, lines are held back as long as they are those of an earlier one.
    """

    def __init__(self) -> None:
        self._known: list[list[bytes]] = []
        self._now: dict[int, list[bytes]] = {}
        """Worker → the lines of its crash so far."""
        self._held: dict[int, list[bytes]] = {}
        """Worker → those of them that are held back."""

    def new(self, worker: int, line: bytes) -> Sequence[bytes]:
        """The lines to tell, now that this one has come."""
        if worker not in self._now:
            if not line.startswith(CRASH):
                return (line,)
            self._now[worker], self._held[worker] = [], []
        now, held = self._now[worker], self._held.get(worker)
        if len(now) < MOST_LINES:
            now.append(_ADDRESS.sub(b"", line))
        if held is None:
            return (line,)
        held.append(line)
        if len(now) < MOST_LINES and any(known[: len(now)] == now for known in self._known):
            return ()
        return self._held.pop(worker)

    def ended(self, worker: int) -> None:
        """The worker prints nothing more."""
        now, held = self._now.pop(worker, None), self._held.pop(worker, None)
        if now is not None and held is None and len(self._known) < MOST_CRASHES:
            self._known.append(now)


class StdoutDrain:
    """Writes the waiting results to standard output, a pipe or a device, without blocking.

    A shared descriptor is never made non-blocking; a write of PIPE_BUF bytes to a pipe that is ready does not block.
    A named pipe can be opened only once it has a reader; until then `connect` gives None.
    """

    def __init__(
        self, writer: StdoutWriter, selector: selectors.BaseSelector, connect: Callable[[], int | None]
    ) -> None:
        self._writer = writer
        self._selector = selector
        self._connect = connect
        self._fd = -1
        self._limit = select.PIPE_BUF
        self._registered = False
        self._plain = False

    def watch(self) -> None:
        """Register with the selector while something waits to be written."""
        if self._fd < 0 and not self._connected():
            return
        if self._plain:
            self._write_all()
        elif self._writer.waiting and not self._registered:
            try:
                self._selector.register(self._fd, selectors.EVENT_WRITE, self._write)
                self._registered = True
            except PermissionError:
                self._plain = True  # a plain file: it can't be polled and never blocks
                self._write_all()
        elif not self._writer.waiting and self._registered:
            self.unwatch()

    def _connected(self) -> bool:
        with guard(self._writer.name, "connect", refused="can't be written"):
            fd = self._connect()
            if fd is None:
                return False
            if not os.get_blocking(fd):
                self._limit = 2**20
        self._fd = fd
        return True

    def unwatch(self) -> None:
        if self._registered:
            self._selector.unregister(self._fd)
            self._registered = False

    @property
    def done(self) -> bool:
        """Everything is written. A named pipe counts only once a reader has opened it, even if there are no results."""
        return self._fd >= 0 and not self._writer.waiting

    def _write_all(self) -> None:
        self._limit = 2**20
        while self._writer.waiting:
            self._write()

    def _write(self) -> None:
        head = self._writer.waiting[0]
        try:
            written = os.write(self._fd, head[: self._limit])
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise self._left_alone() from None
        except OSError as error:
            raise refused(error, f"{self._writer.name} can't be written") from None
        self._writer.queued -= written
        if written == len(head):
            self._writer.waiting.popleft()
        else:
            self._writer.waiting[0] = head[written:]

    def _left_alone(self) -> StagerunnerError:
        if self._writer.stdout:
            return ReaderGone("the reader of standard output has left")
        return RunFailed(f"the reader of {self._writer.name} left before everything was written")
