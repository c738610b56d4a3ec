"""The stage `exec`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from stagerunner import stage
from stagerunner_parts.programs.answering import Answering, ForEachRecord, ForTheRun
from stagerunner_parts.programs.command import command_of
from stagerunner_parts.programs.formats import FORMATS, Name

MOST = 64 * 2**20
"""Bytes that a program may write for a record, unless `max_output` says otherwise."""


@stage("exec", state=False, pure=True)
class Exec:
    """Pass records through another program.

    The program runs in the current folder, with the environment of the worker, to which the setting `env` adds. Its
    standard error is shown like the output of a stage. It ends with its worker, however that ends. Don't use a program
    that remembers something from one record to the next.

    command: the program and its arguments: a list, or a text that is split into words without a shell.
    per: record starts it for each record, which is its input; run starts it once in each worker, to answer each line.
    format: lines, or jsonl; with per record also text or bytes, where all that it writes is one record.
    answers: how an answer ends if it runs for the whole run: one line each, or until-blank-line.
    shell: true has /bin/sh read the command.
    success: the exit statuses that count as success; by default 0.
    max_output: bytes that it may write for a record.
    """

    def __init__(
        self,
        *,
        command: str | list[str],
        per: Literal["record", "run"] = "record",
        format: Name = "lines",
        answers: Literal["one", "until-blank-line"] = "one",
        shell: bool = False,
        success: list[int] | None = None,
        max_output: int = MOST,
    ) -> None:
        self._command = command_of(command, shell=shell)
        self._per, self._answers, self._name = per, answers, format
        self._format = FORMATS[format]
        self._success = frozenset(success or (0,))
        self._most = max_output
        self._answering: Answering

    def check(self, environment: Mapping[str, str]) -> None:
        if self._per == "run" and not self._format.by_line:
            raise ValueError(f"`format: {self._name}` is for `per: record`; with `per: run` answers are lines")
        if self._per == "record" and self._answers != "one":
            raise ValueError("`answers` is for `per: run`; with `per: record` each line of the output is a record")
        if self._most < 1:
            raise ValueError(f"`max_output` is {self._most}, but it is a number of bytes from 1 on")
        self._command.found(environment)

    def setup(self) -> None:
        command = self._command.found(os.environ)
        if self._per == "record":
            self._answering = ForEachRecord(command, self._most, self._success)
        else:
            self._answering = ForTheRun(command, self._most, self._success, self._answers)
        self._answering.open()

    def process(self, record: Any) -> Iterator[Any]:
        yield from self._format.decode(self._answering.answer(self._format.encode(record)))

    def close(self) -> None:
        self._answering.close()
