"""A running program: what is written to it, and what it writes.

All three of its streams are served by one loop: a program that writes before it reads, or never reads, blocks nobody.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from stagerunner_parts.programs.command import Command

CHUNK = 65_536
AT_ONCE = 2**20
"""Bytes that are read and written in one call, at most."""

TAIL_LINES = 5
TAIL = 2000
"""Lines and bytes of what it wrote to standard error that a message quotes."""

MOMENT = 0.05
"""Seconds between two looks at whether it has ended, while something else may hold its standard error open."""


class ProgramFailed(Exception):
    """The program ended badly, or wrote something it must not; another attempt may succeed."""


class Program:
    """A program with its streams. most: bytes that it may write for one record.

    out: what it has written and nobody has taken. ended: it has closed its output.
    Raises OSError if it can't be started.
    """

    def __init__(self, command: Command, most: int) -> None:
        self.name = command.name
        self._most = most
        self.out = bytearray()
        self._errors = bytearray()
        self.ended = False
        # In our process group, which is killed as a whole: it is never left behind.
        self._process = subprocess.Popen(
            command.words, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._streams = tuple(stream for stream in streams if stream is not None)
        self._in, self._out, self._err = (stream.fileno() for stream in self._streams)
        for stream in self._streams:
            os.set_blocking(stream.fileno(), False)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._poll.register(self._err, select.POLLIN)
        self._errors_open = True

    def exchange(self, data: bytes, enough: Callable[[bytearray], bool], *, last: bool = False) -> None:
        """Write the data, and read until there is enough and all is written, or until the output has ended.

        last: the program then sees the end of its input. Raises ProgramFailed if it writes more than it may.
        """
        left = self._write(memoryview(data), last=last)
        if left:
            self._poll.register(self._in, select.POLLOUT)
        while not self.ended and (left or not enough(self.out)):
            for fd, _ in self._poll.poll():
                if fd != self._in:
                    self._read(fd)
                elif not (left := self._write(left, last=last)):
                    self._unwatch_input()
        if left:
            self._unwatch_input()

    def _write(self, data: memoryview, *, last: bool) -> memoryview:
        """What is left of the data. All of it is gone if the program reads no more: it has what it wants."""
        try:
            left = data[os.write(self._in, data[:AT_ONCE]) :] if data else data
        except BlockingIOError:
            return data
        except BrokenPipeError:
            left = data[:0]
        if last and not left:
            self.close_input()
        return left

    def _read(self, fd: int) -> None:
        with suppress(BlockingIOError):
            data = os.read(fd, CHUNK)
            if not data:
                self._poll.unregister(fd)
            (self._read_output if fd == self._out else self._read_errors)(data)

    def _read_output(self, data: bytes) -> None:
        self.ended = not data
        self.out += data
        if len(self.out) > self._most:
            raise ProgramFailed(f"{self.name} wrote over {self._most:,} bytes for one record; see `max_output`")

    def _read_errors(self, data: bytes) -> None:
        """Pass on what it wrote to standard error as what the stage prints, and keep the last of it."""
        self._errors_open = bool(data)
        sys.stderr.write(data.decode(errors="backslashreplace"))
        sys.stderr.flush()
        self._errors = (self._errors + data)[-TAIL:]

    def close_input(self) -> None:
        """Nothing more is written: the program sees the end of its input."""
        self._unwatch_input()
        self._streams[0].close()

    def _unwatch_input(self) -> None:
        with suppress(KeyError):
            self._poll.unregister(self._in)

    def look(self) -> None:
        """Read what is here, without waiting."""
        for fd, _ in self._poll.poll(0):
            self._read(fd)

    def wait(self) -> int:
        """Read to the end, and wait until it has ended: its exit status, or minus the signal that killed it."""
        self.exchange(b"", lambda _: False)
        while self._errors_open and self._process.poll() is None:
            self._look_at_errors(MOMENT)
        while self._errors_open and self._look_at_errors(0):
            pass
        return self._process.wait()

    def _look_at_errors(self, seconds: float) -> bool:
        ready = self._poll.poll(seconds * 1000)
        for fd, _ in ready:
            self._read(fd)
        return bool(ready)

    def how(self, status: int) -> str:
        """How it ended, with the last that it wrote to standard error: "jq ended with exit status 5: …"."""
        how = f"exit status {status}" if status >= 0 else _signal(-status)
        said = "\n".join(self._errors.decode(errors="backslashreplace").splitlines()[-TAIL_LINES:])
        advice = "; `success` lists those that are no failure" if status > 0 else ""
        return f"{self.name} ended with {how}" + (f": {said}" if said.strip() else advice)

    def kill(self) -> None:
        """Kill it, if it lives, and close its streams."""
        with suppress(OSError):
            self._process.kill()
        for stream in self._streams:
            stream.close()
        self._process.wait()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
