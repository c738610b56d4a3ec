"""What job K sees: the calls that were noted, and a run of the command that is interrupted or killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measure import HERE


class Call(NamedTuple):
    """One call of a transform. began, ended: seconds of the monotonic clock; ended is None if it never came back."""

    pid: int
    began: float
    ended: float | None
    size: int
    first: str


def calls(log: Path) -> list[Call]:
    """All calls that are noted so far, by the time at which they began."""
    under_way: dict[tuple[int, str], Call] = {}
    found = []
    for line in log.read_text().splitlines() if log.exists() else []:
        what, pid, at, size, first = line.split()
        key, seconds = (int(pid), first), int(at) / 1e9
        if what == "+":
            under_way[key] = Call(int(pid), seconds, None, int(size), first)
        else:
            found.append(under_way.pop(key)._replace(ended=seconds))
    return sorted([*found, *under_way.values()], key=lambda call: call.began)


def ended(log: Path) -> int:
    """How many calls have come back, without reading them: what is awaited while a run goes on."""
    return log.read_bytes().count(b"-") if log.exists() else 0


def mean_size(found: Sequence[Call]) -> float:
    return sum(call.size for call in found) / len(found) if found else 0.0


def rate(found: Sequence[Call], start: float, end: float) -> float:
    """Calls that came back per second, between two moments."""
    return sum(start <= call.ended < end for call in found if call.ended) / (end - start) if end > start else 0.0


def under_way(found: Sequence[Call], at: float) -> set[str]:
    """What was in a call at that moment."""
    return {call.first for call in found if call.began <= at and (call.ended is None or call.ended > at)}


def twice(found: Sequence[Call]) -> int:
    """Calls beyond the first one for the same record."""
    return sum(number - 1 for number in Counter(call.first for call in found).values())


class Command:
    """`stagerunner run` in a process of its own, over a config that stands in the folder of its calls."""

    def __init__(self, config: dict[str, Any], folder: Path, *arguments: str) -> None:
        path = folder / "chain.yaml"
        path.write_text(json.dumps(config))
        self.summary_file = folder / "summary.json"
        command = [sys.executable, "-m", "stagerunner", "run", str(path), *arguments, "--summary"]
        self.events = folder / "events.jsonl"
        with self.events.open("ab") as told:
            self.process = subprocess.Popen(
                [*command, str(self.summary_file), "--progress", "json"],
                stderr=told,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(HERE)]))},
                start_new_session=True,
            )

    @property
    def over(self) -> bool:
        return self.process.poll() is not None

    def wait_for(self, happened: Callable[[], bool], limit: float) -> bool:
        """Whether it happened before the run was over and the time was up."""
        until = time.monotonic() + limit
        while not happened():
            if self.over or time.monotonic() > until:
                return False
            time.sleep(0.005)
        return True

    def send(self, number: signal.Signals, pid: int = 0) -> float:
        """Signal the run, or this process; returns when."""
        os.kill(pid or self.process.pid, number)
        return time.monotonic()

    def end(self, limit: float) -> float:
        """Wait for the end, or kill it after so many seconds; returns when it was."""
        if not self.wait_for(lambda: False, limit) and not self.over:
            self.process.kill()
        self.process.wait()
        return time.monotonic()

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(self.summary_file.read_text()) if self.summary_file.exists() else {}

    def told(self, event: str) -> list[dict[str, Any]]:
        lines = [line for line in self.events.read_text().splitlines() if line.startswith("{")]
        return [found for found in map(json.loads, lines) if found.get("event") == event]
