"""Job G: start-up. Whole commands against the imports they can't do without; workers ready, and ready again.

usage: python job_g.py [--quick]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from measure import Outcome, Row, in_turns, present, spread

import stagerunner
from stagerunner.events import RunStarted, WorkerFailed, WorkerReady

HELLO = "version: 1\nsource: {path}/hello.txt\nstages: [text.strip, text.upper, text.strip]\nsink: {path}/out.txt\n"
STAGES = 3
PYTHON = [sys.executable, "-c"]
CORE, CLICK = "import click, pluggy, yaml, msgspec", "import click"
NEEDED = f"{CORE}, multiprocessing.connection, sqlite3, subprocess, pathlib"
"""CORE, and what a run needs besides: pipes, a journal, a fork server, files."""


def command(arguments: list[str]) -> Outcome:
    began = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Outcome(1, time.perf_counter() - began)


def ours(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("stagerunner")), *arguments]


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as path:
        config = Path(path) / "hello.yaml"
        config.write_text(HELLO.format(path=path))
        (Path(path) / "hello.txt").write_text("hello\n")
        contenders: dict[str, Callable[[], Outcome]] = {
            "run": partial(command, ours("run", str(config), "--quiet")),
            "check": partial(command, ours("check", str(config))),
            "--help": partial(command, ours("--help")),
            CORE: partial(command, [*PYTHON, CORE]),
            CLICK: partial(command, [*PYTHON, CLICK]),
            NEEDED: partial(command, [*PYTHON, NEEDED]),
        }
        came = in_turns(contenders, 10 if quick else 40)
    yield _against(came, "run", "three-stage hello, whole command", CORE, "≤ 1.8 ×")
    yield _against(came, "run", "the same", NEEDED, "–")
    yield _against(came, "check", "check", CORE, "≤ 1.4 ×")
    yield _against(came, "--help", "--help", CLICK, "≤ 1.3 ×")
    yield from readiness(10 if quick else 40)


def _against(came: dict[str, list[Outcome]], name: str, what: str, other: str, aim: str) -> Row:
    ratio = spread([mine.seconds / theirs.seconds for mine, theirs in zip(came[name], came[other], strict=True)])
    return Row(what, _ms(came[name]), f'python -c "{other}": {_ms(came[other])}', ratio.text() + " ×", aim)


def _ms(outcomes: list[Outcome]) -> str:
    return spread([1000 * outcome.seconds for outcome in outcomes]).text("{:.0f}") + " ms"


# Workers


class Times:
    """When a run was begun, when all workers were ready, and how long after a death they were again."""

    def __init__(self) -> None:
        self.started = self.failed = self.ready = self.again = 0.0
        self._ready: list[int] = []

    def listen(self, event: Any) -> None:
        now = time.perf_counter()
        if isinstance(event, RunStarted):
            self.started = now
        elif isinstance(event, WorkerFailed):
            self.failed = now
            self._ready = []
        elif isinstance(event, WorkerReady):
            self._ready.append(event.pid)
            if len(self._ready) == STAGES:
                self._all_ready(now)

    def _all_ready(self, now: float) -> None:
        if self.failed:
            self.again = self.again or now - self.failed
            return
        self.ready = now - self.started
        os.kill(self._ready[1], signal.SIGKILL)


def readiness(rounds: int) -> Iterator[Row]:
    first, again = [], []
    config = "version: 1\nsource: {use: range, with: {stop: 200000}}\n"
    config += 'stages: ["transforms:same", "transforms:same", "transforms:same"]\nsink: {use: "null"}\n'
    for _ in range(rounds):
        times = Times()
        stagerunner.run(config, listener=times.listen)
        first.append(1000 * times.ready)
        again.append(1000 * times.again)
    yield Row("three light workers ready", spread(first).text("{:.0f}") + " ms", "", "", "≤ 50 ms")
    yield Row("ready again after a kill was noticed", spread(again).text("{:.1f}") + " ms", "", "", "≤ 10 ms")


if __name__ == "__main__":
    present("G. Start-up", rows)
