"""The command, run over a case in a session of its own, with a hard limit."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from chaos_support.case import Case, environment
from chaos_support.family import family, fork_server_of, kill_family, workers_of
from support.waiting import wait_until

LIMIT = 90.0
"""Seconds after which a run that is still there hangs."""

RESUME = ("--resume",)


def wrapped(module: str, *arguments: str) -> dict[str, Any]:
    """A command prefix for Run: start through a module of ours that changes something first."""
    return {"python": ("-m", f"chaos_support.{module}", *arguments)}


class Hung(AssertionError):
    """A run did not end in time."""


class Run:
    """One process of the command. Leaving the context ends everything that is left of the run."""

    def __init__(
        self, case: Case, *arguments: str, wrapper: Sequence[str] = (), python: Sequence[str] = (), **more: Any
    ):
        self.case = case
        self._summary = case.folder / "summary.json"
        self._summary.unlink(missing_ok=True)
        self._log = case.folder / "log"
        module = python or ("-m", "stagerunner")
        command = [*wrapper, sys.executable, *module, "run", str(case.config), *arguments]
        command += ["--progress", "none", "--summary", str(self._summary)]
        with open(self._log, "ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            self._since = log.tell()
            settings = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log} | more.pop("popen", {})
            self.process = subprocess.Popen(
                command, cwd=case.folder, env=environment(case, **more), start_new_session=True, **settings
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def over(self) -> bool:
        return self.process.poll() is not None

    @property
    def fork_server(self) -> int | None:
        return fork_server_of(self.pid)

    @property
    def workers(self) -> list[int]:
        return workers_of(self.fork_server)

    @property
    def said(self) -> str:
        """What this process, and those of its run, wrote to standard output and error."""
        return self._log.read_bytes()[self._since :].decode(errors="replace")

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self._summary.read_text()) if self._summary.exists() else {}

    def wait_until(self, found: Callable[[], Any], what: str = "it") -> Any:
        """What `found` gives, or None when the run was over before that."""
        value = wait_until(lambda: found() or (self.over and Hung), LIMIT, what)
        return None if value is Hung else value

    def wait(self, limit: float = LIMIT) -> int:
        """Its exit status. Raises Hung."""
        if not self.over and not _ends(self.pid, limit):
            raise Hung(f"still running after {limit:g} s: {self.case.folder}\n{self.said[-3000:]}")
        return self.process.wait()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.over:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            kill_family(str(self.case.folder))


def _ends(pid: int, limit: float) -> bool:
    """Whether this child of ours ends in so many seconds; known the moment it does."""
    ending = os.pidfd_open(pid)
    try:
        watch = select.poll()
        watch.register(ending, select.POLLIN)
        return bool(watch.poll(1000 * limit))
    finally:
        os.close(ending)


def finished(case: Case, *arguments: str, **more: Any) -> Run:
    """A run that has come to its end."""
    with Run(case, *arguments, **more) as run:
        run.wait()
    return run


def gone(case: Case, seconds: float = 1.0) -> None:
    """Wait until no process of the case's runs is left. Fails if that takes too long."""
    token = str(case.folder)
    wait_until(lambda: not family(token), seconds, f"the end of all processes of {token}")


def told(case: Case) -> list[tuple[str, int]]:
    """What the stages have told so far: (what, by which process)."""
    if not case.events.exists():
        return []
    words = [line.split() for line in case.events.read_text().splitlines()]
    return [(what, int(pid)) for what, pid in words]


def count(case: Case, what: str = "") -> int:
    """How often the stages have told that, or anything."""
    return case.events.read_text().count(f"{what} ") if case.events.exists() else 0


def tail(path: Path, size: int = 2000) -> str:
    return path.read_bytes()[-size:].decode(errors="replace") if path.exists() else ""
