"""Settings that a file gives but that mean nothing where they stand."""

from __future__ import annotations

from collections.abc import Iterator

from stagerunner.config.model import PartConfig
from stagerunner.errors import Mistake
from stagerunner.hookspecs import EngineSpec
from stagerunner.parts.stage import Form


def misplaced(stage: PartConfig, form: Form, engine: EngineSpec) -> Iterator[Mistake]:
    """A mistake for each setting that says nothing for a stage of this form, or to this engine."""
    for setting, message, fix in _refusals(stage, form, engine):
        if setting in stage.given:
            yield Mistake("setting", message, stage.given[setting], f"{stage.path}.{setting}", fix)


def _refusals(stage: PartConfig, form: Form, engine: EngineSpec) -> Iterator[tuple[str, str, str]]:
    name = stage.name
    if form.state and stage.settings.workers > 1:
        yield "workers", f"'{name}' has state, and a stage with state has one worker", "leave `workers` out"
    if not form.batch:
        yield "batch", f"'{name}' takes its records one by one; `batch` is for batch transforms", "leave it out"
    if not form.awaited:
        yield "concurrency", f"'{name}' is not async; `concurrency` is for async stages", "use `workers`"
    if stage.settings.on_error == "fail":
        why = f"the first failure of '{name}' ends the run; `max_errors` is for `on_error: skip` or `dead_letter`"
        yield "max_errors", why, "give it an `on_error`, or leave it out"
    if not engine.resources:
        yield "resources", f"the engine '{engine.name}' knows no resources", "leave it out"
