"""How a program is asked for its answer to a record: a process for each, or one that answers line by line."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from typing import Protocol

from stagerunner import Reject
from stagerunner_parts.programs.command import Command
from stagerunner_parts.programs.running import Program, ProgramFailed

ENDS = {"one": re.compile(rb"(\n)"), "until-blank-line": re.compile(rb"(\A|\n)\r?\n")}
"""How an answer ends; its last line ends with the group."""

LONGEST_END = 3
"""Bytes of an end, at most."""

SHOWN = 60
"""Bytes of what it wrote too much that a message quotes."""


class Answering(Protocol):
    """A way to ask a program about records."""

    def open(self) -> None:
        """Begin. Raises OSError if the program can't be started."""

    def answer(self, data: bytes) -> bytes:
        """The answer to a record. Raises ProgramFailed; Reject if the record can't be asked about."""

    def close(self) -> None:
        """End. Raises ProgramFailed if the program doesn't end well."""


class ForEachRecord:
    """A process for each record: its input is the record, its output the answer. success: exit statuses."""

    def __init__(self, command: Command, most: int, success: Collection[int]) -> None:
        self._command = command
        self._most = most
        self._success = success

    def open(self) -> None:
        pass

    def answer(self, data: bytes) -> bytes:
        """A signal may have come from outside, so a program that is killed is started once more."""
        status, program = self._run(data)
        if status < 0:
            status, program = self._run(data)
        if status not in self._success:
            raise ProgramFailed(program.how(status))
        return bytes(program.out)

    def _run(self, data: bytes) -> tuple[int, Program]:
        program = Program(self._command, self._most)
        try:
            program.exchange(data, lambda _: False, last=True)
            return program.wait(), program
        finally:
            program.kill()

    def close(self) -> None:
        pass


class ForTheRun:
    """One process, which reads a line and writes an answer. ends: how an answer ends, a key of ENDS.

    A record during which it ends is given once more to a new one: the reason may lie in those before.
    """

    def __init__(self, command: Command, most: int, success: Collection[int], ends: str) -> None:
        self._command = command
        self._most = most
        self._success = success
        self._end = ENDS[ends]
        self._program: Program | None = None

    def open(self) -> None:
        self._program = Program(self._command, self._most)

    def answer(self, data: bytes) -> bytes:
        line = _line(data)
        try:
            found = self._asked(line)
            if found is None:
                self._drop()
                found = self._asked(line)
            if found is None:
                raise self._died()
            return found
        except BaseException:
            self._drop()
            raise

    def _asked(self, line: bytes) -> bytes | None:
        """The answer; None if the program has ended without one."""
        program = self._idle()
        search = _Search(self._end)
        program.exchange(line, search)
        if search.end is None:
            return None
        answer = bytes(program.out[: search.stop])
        del program.out[: search.end]
        self._check_silent(program)
        return answer

    def _idle(self) -> Program:
        """The program, which has nothing to say; a new one if it has ended."""
        if self._program is not None:
            self._program.look()
            self._check_silent(self._program)
            if self._program.ended:
                sys.stderr.write(f"{self._died()}, between two records; it is started again\n")
                self._drop()
        if self._program is None:
            self.open()
        assert self._program is not None
        return self._program

    def _check_silent(self, program: Program) -> None:
        """Raises ProgramFailed if it wrote what nobody asked for: answers couldn't be told apart any more."""
        if program.out:
            text = bytes(program.out[:SHOWN]).decode(errors="replace")
            raise ProgramFailed(f"{program.name} wrote more than one answer to a record: {text!r} is too much")

    def _died(self) -> ProgramFailed:
        assert self._program is not None
        self._program.close_input()
        return ProgramFailed(self._program.how(self._program.wait()))

    def _drop(self) -> None:
        if self._program is not None:
            self._program.kill()
            self._program = None

    def close(self) -> None:
        program, self._program = self._program, None
        if program is None:
            return
        try:
            program.close_input()
            status = program.wait()
            if program.out:
                count = f"{len(program.out):,} bytes"
                raise ProgramFailed(f"{program.name} wrote {count} after its last answer, which belong to no record")
            if status not in self._success:
                raise ProgramFailed(program.how(status))
        finally:
            program.kill()


class _Search:
    """Looks for the end of an answer that grows; nothing is searched twice.

    stop: where the lines of the answer end. end: where what ends it ends; None while it isn't here.
    """

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._from = self.stop = 0
        self.end: int | None = None

    def __call__(self, out: bytearray) -> bool:
        if self.end is None and (found := self._pattern.search(out, self._from)) is not None:
            self.stop, self.end = (found.end(1) if found[1] else 0), found.end()
        self._from = max(0, len(out) - LONGEST_END)
        return self.end is not None


def _line(data: bytes) -> bytes:
    """The data as one line. Raises Reject if it is more."""
    line = data if data.endswith(b"\n") else data + b"\n"
    if line.find(b"\n") != len(line) - 1:
        raise Reject("the record has a line break in it, and the program reads lines; `format: jsonl` escapes it")
    return line
