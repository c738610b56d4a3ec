"""The events of a run as lines: for people, or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from msgspec.structs import asdict

from stagerunner.events import Checkpoint, Notice, Output, RecordFailed, WorkerFailed, WorkerReady
from stagerunner.views.console import Console, Line
from stagerunner.views.figures import count, plural

SHOWN = 3
"""Failed records of one stage that are shown; the others are only counted."""

_FATES = {"dead_letter": ("dead letter", "in the dead letters"), "skip": ("skipped", "skipped")}
_NAMES: dict[type, str] = {
    Output: "output",
    Notice: "notice",
    RecordFailed: "record-failed",
    WorkerFailed: "worker-failed",
    WorkerReady: "worker-ready",
    Checkpoint: "checkpoint",
}


class Log(Protocol):
    """Turns events into lines."""

    def lines(self, event: Any) -> Iterator[Line]:
        """The lines for an event, if any."""

    def rest(self) -> Iterator[Line]:
        """The last lines, when the run is over."""


class TextLog:
    """Lines for people.

    workers: how many each stage has. failures: show failed records, dead workers and notices too. warnings: show of
    these at least the notices that warn. verbose: show workers that are ready and checkpoints too.
    """

    def __init__(
        self, workers: Mapping[str, int], *, failures: bool = True, warnings: bool = False, verbose: bool = False
    ) -> None:
        self._workers = workers
        self._failures = failures
        self._warnings = warnings
        self._verbose = verbose
        self._failed: Counter[tuple[str, str]] = Counter()

    def lines(self, event: Any) -> Iterator[Line]:
        match event:
            case Output(stage, worker, text):
                yield (("name", f"[{self._worker_name(stage, worker)}]"), f" {text}")
            case Notice(text, warning) if self._failures or (warning and self._warnings):
                yield (("warn", "warning: "), text) if warning else (text,)
            case RecordFailed() if self._failures and event.policy in _FATES:
                yield from self._record(event)
            case WorkerFailed(stage, worker, pid, how) if self._failures:
                yield (("warn", f"{self._worker_name(stage, worker)}: ended by {how}"), f" (pid {pid})")
            case WorkerReady(stage, worker, pid) if self._verbose:
                yield (("dim", f"{self._worker_name(stage, worker)}: ready (pid {pid})"),)
            case Checkpoint(records) if self._verbose:
                yield (("dim", f"checkpoint: {plural(records, 'record')} written"),)

    def rest(self) -> Iterator[Line]:
        for (stage, policy), number in self._failed.items():
            if number > SHOWN:
                yield (("warn", f"{stage}: "), f"… and {count(number - SHOWN)} more {_FATES[policy][1]}")

    def _record(self, event: RecordFailed) -> Iterator[Line]:
        self._failed[event.stage, event.policy] += 1
        if self._failed[event.stage, event.policy] <= SHOWN:
            where = f" ({event.where})" if event.where else ""
            message = f": {event.message}" if event.message else ""
            yield (("warn", f"{event.stage}: {_FATES[event.policy][0]}: "), f"{event.type}{message}{where}")

    def _worker_name(self, stage: str, worker: int) -> str:
        return f"{stage}/{worker + 1}" if self._workers.get(stage, 1) > 1 else stage


class JsonLog:
    """JSON lines for programs: every event but progress, which the view shows."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def lines(self, event: Any) -> Iterator[Line]:
        name = _NAMES.get(type(event))
        if name is not None:
            yield (self._console.json({"event": name, **asdict(event)}),)

    def rest(self) -> Iterator[Line]:
        return iter(())
