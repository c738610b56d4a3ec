"""What happens while a run runs, as lines: for people, or a JSON object each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from msgspec.structs import asdict

from stagerunner.events import Checkpoint, Notice, Output, RecordFailed, WorkerFailed, WorkerReady
from stagerunner.views.console import Console, Line
from stagerunner.views.figures import count, plural

SHOWN = 3
"""Failed records of one stage that are shown; the others are counted."""

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
    """Events → lines."""

    def lines(self, event: Any) -> Iterator[Line]:
        """What to say of an event, if anything."""

    def rest(self) -> Iterator[Line]:
        """What is left to be said when the run is over."""


class TextLog:
    """For people. workers: how many each stage has. told: failed records and dead workers are told too.

    verbose: and workers that are ready, and checkpoints.
    """

    def __init__(self, workers: Mapping[str, int], *, told: bool = True, verbose: bool = False) -> None:
        self._workers = workers
        self._told = told
        self._verbose = verbose
        self._failed: Counter[tuple[str, str]] = Counter()

    def lines(self, event: Any) -> Iterator[Line]:
        match event:
            case Output(stage, worker, text):
                yield (("name", f"[{self._called(stage, worker)}]"), f" {text}")
            case Notice(text) if self._told:
                yield (text,)
            case RecordFailed() if self._told and event.policy in _FATES:
                yield from self._record(event)
            case WorkerFailed(stage, worker, pid, how) if self._told:
                yield (("warn", f"{self._called(stage, worker)}: ended by {how}"), f" (pid {pid})")
            case WorkerReady(stage, worker, pid) if self._verbose:
                yield (("dim", f"{self._called(stage, worker)}: ready (pid {pid})"),)
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

    def _called(self, stage: str, worker: int) -> str:
        return f"{stage}/{worker + 1}" if self._workers.get(stage, 1) > 1 else stage


class JsonLog:
    """For programs: every event there is, but for progress, which is the view's."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def lines(self, event: Any) -> Iterator[Line]:
        name = _NAMES.get(type(event))
        if name is not None:
            yield (self._console.json({"event": name, **asdict(event)}),)

    def rest(self) -> Iterator[Line]:
        return iter(())
