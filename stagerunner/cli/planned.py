"""`run --dry-run`: the plan as people read it."""

from __future__ import annotations

import json
from typing import Any

from stagerunner.plan import Plan
from stagerunner.views.console import Console
from stagerunner.views.figures import plural
from stagerunner.views.table import Column, table

_COLUMNS = (
    Column("", left=True),
    Column("name", left=True),
    Column("use", left=True),
    Column("workers"),
    Column("on_error", left=True),
    Column("with", left=True),
)


def show_plan(plan: Plan, console: Console) -> None:
    """Say what would run: source, stages, sink, dead letters, and what is promised."""
    workers = sum(stage.settings.workers for stage in plan.stages) or 1
    console.line(("strong", plan.name), f": {plural(workers, 'worker')}, engine {plan.run.engine}; nothing is started")
    header, *rows = table(_COLUMNS, _rows(plan))
    console.line(("dim", header))
    for row in rows:
        console.line(row)
    if plan.dead_letter is not None:
        console.line(f"dead letters: {plan.dead_letter}")
    for note in plan.notes:
        console.line(note)


def _rows(plan: Plan) -> list[list[str]]:
    ends = {"source": plan.source, "sink": plan.sink}
    source, sink = (
        [[kind, part.name, part.part.name, "", part.settings.on_error, _options(part.shown)]] if part else []
        for kind, part in ends.items()
    )
    stages = [
        [
            f"stage {number}",
            stage.name,
            stage.use,
            str(stage.settings.workers),
            stage.settings.on_error,
            _options(stage.shown),
        ]
        for number, stage in enumerate(plan.stages, 1)
    ]
    return [*source, *stages, *sink]


def _options(shown: dict[str, Any]) -> str:
    return ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in shown.items())
