"""What the budgets of a run have spent: a small file beside the journal, from which a resumed run goes on.

    header: a line of JSON, filled up with spaces · for each stage with a budget, 8 words of 8 bytes for each worker

Each worker writes its own words after each call (evaluate/limits), so they survive the death of any process. A resumed
run adds them up, and begins a new file with the sums in its header.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stagerunner.errors import Stopped
from stagerunner.evaluate.limits.budget import WORD
from stagerunner.evaluate.work import COUNTERS
from stagerunner.events import Notice
from stagerunner.guard import reason
from stagerunner.plan import Plan, PlannedStage

Sums = dict[str, dict[str, float]]
"""Stage → counter → what was spent."""

ROW = COUNTERS * WORD.size
"""Bytes of one worker's words."""


def spending_path(journal: Path) -> Path:
    """Where what was spent stands: beside the journal."""
    return journal.with_name(f"{journal.name}.spent")


def with_spending(plan: Plan, journal: Path | None, run: str, tell: Callable[[Any], None], *, resumed: bool) -> Plan:
    """The plan whose stages know what was spent before, and where to write what they spend.

    journal: its path; None for a run that can't be resumed. run: the same for a run and all its resumes.
    Raises Stopped if the file can't be written.
    """
    if journal is None or all(stage.work.budget is None for stage in plan.stages):
        return plan
    path = spending_path(journal)
    before = _read(path, run, tell) if resumed else {}
    starts = _begin(path, run, plan.stages, before)
    stages = [_told(stage, path, starts.get(stage.name, 0), before.get(stage.name, {})) for stage in plan.stages]
    return replace(plan, stages=tuple(stages))


def forget_spending(journal: Path) -> None:
    """The run is done: nothing goes on from what was spent."""
    with suppress(OSError):
        spending_path(journal).unlink(missing_ok=True)


def _told(stage: PlannedStage, path: Path, start: int, before: dict[str, float]) -> PlannedStage:
    budget = stage.work.budget
    if budget is None:
        return stage
    spent = tuple(before.get(name, 0.0) for name, _ in budget.limits)
    return replace(stage, work=stage.work._replace(budget=budget._replace(before=spent, path=str(path), start=start)))


# The file


def _begin(path: Path, run: str, stages: tuple[PlannedStage, ...], before: Sums) -> dict[str, int]:
    """Replace the file by one for these stages: where the words of each begin. Raises Stopped."""
    places = dict[str, dict[str, Any]]()
    offset = 0
    for stage in stages:
        if stage.work.budget is not None:
            counters = [name for name, _ in stage.work.budget.limits]
            places[stage.name] = {"at": offset, "workers": stage.settings.workers, "counters": counters}
            offset += stage.settings.workers * ROW
    told = json.dumps({"format": 1, "run": run, "stages": places, "before": before}).encode()
    header = told.ljust(-(-len(told) // WORD.size) * WORD.size + WORD.size - 1) + b"\n"
    beside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(header + bytes(offset))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise Stopped(f"the spending can't be written to {path}: {reason(error)}") from None
    return {name: len(header) + place["at"] for name, place in places.items()}


def _read(path: Path, run: str, tell: Callable[[Any], None]) -> Sums:
    """What the run had spent so far."""
    try:
        data = path.read_bytes()
        header, _, words = data.partition(b"\n")
        told = json.loads(header)
        if told["run"] != run:
            return {}
        sums: Sums = {stage: dict(spent) for stage, spent in told["before"].items()}
        for stage, place in told["stages"].items():
            for number, counter in enumerate(place["counters"]):
                rows = range(place["at"], place["at"] + place["workers"] * ROW, ROW)
                spent = sum(WORD.unpack_from(words, row + number * WORD.size)[0] for row in rows)
                of_stage = sums.setdefault(stage, {})
                of_stage[counter] = of_stage.get(counter, 0.0) + spent
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        missing = isinstance(error, FileNotFoundError)
        why = "there is no such file" if missing else reason(error)
        tell(
            Notice(
                f"the spending of this run so far is unknown ({path}: {why}): its budget starts again from zero",
                warning=True,
            )
        )
        return {}
    return sums
