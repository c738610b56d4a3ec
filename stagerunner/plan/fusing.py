"""Which neighbours may share their workers under `run.fuse: auto`, and why others may not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from stagerunner.plan.model import Plan, PlannedStage
from stagerunner.plan.promise import without_snapshot


def fusible(plan: Plan) -> tuple[int, ...]:
    """The sizes of the groups of neighbours that may share workers, in order; all 1 without `auto`."""
    sizes: list[int] = []
    for place, stage in enumerate(plan.stages):
        if place and why_apart(plan, plan.stages[place - 1], stage) is None:
            sizes[-1] += 1
        else:
            sizes.append(1)
    return tuple(sizes)


def why_apart(plan: Plan, before: PlannedStage, stage: PlannedStage) -> str | None:
    """Why two neighbours can't share workers; None if they may."""
    if plan.run.fuse != "auto":
        return "run.fuse is off"
    if forgotten := without_snapshot(plan):
        return f"'{forgotten[0]}' has state without snapshot and restore, which would be lost when groups change"
    if before.settings.workers != stage.settings.workers:
        return f"'{before.name}' has {before.settings.workers} workers, '{stage.name}' {stage.settings.workers}"
    if before.executable != stage.executable:
        return f"'{before.name}' and '{stage.name}' run in different Pythons"
    return _alone(before) or _alone(stage)


def _alone(stage: PlannedStage) -> str | None:
    """The setting or form of a stage that forbids sharing."""
    settings, form = stage.settings, stage.work.form
    if settings.timeout is not None:
        return f"'{stage.name}' has a timeout"
    if settings.env:
        return f"'{stage.name}' has an environment of its own"
    if stage.gpus:
        return f"'{stage.name}' has devices of its own"
    if settings.max_memory is not None:
        return f"'{stage.name}' has a max_memory"
    if settings.memo is not None:
        return f"'{stage.name}' has a memo, whose hits must not wait for calls of others"
    if stage.work.gathers:
        return f"'{stage.name}' gathers the records of several frames for a call"
    if form.awaited and not form.state:
        return f"'{stage.name}' is async and takes in further frames while calls are under way"
    return None


def fusion_notes(plan: Plan) -> Iterator[str]:
    """What `run.fuse: auto` means for this chain, in sentences."""
    if plan.run.fuse != "auto" or plan.run.engine != "process":
        return
    start = 0
    for size in fusible(plan):
        if size > 1:
            names = " + ".join(stage.name for stage in plan.stages[start : start + size])
            yield f"{names} may share their workers: results that can't be pickled pass between them while they do"
        start += size
    for before, stage in pairwise(plan.stages):
        why = why_apart(plan, before, stage)
        if why is not None:
            yield f"{before.name} and {stage.name} stay apart: {why}"
