"""One stage of the config → one stage of the plan."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from stagerunner.catalog import Catalog, Resolved
from stagerunner.config.model import Config, Memo, PartConfig, Settings
from stagerunner.errors import Mistake
from stagerunner.evaluate.work import BudgetSpec, Work
from stagerunner.guard import is_ctrl_c, one_line, reason
from stagerunner.hookspecs import EngineSpec
from stagerunner.parts.base import Part
from stagerunner.parts.forming import form_of
from stagerunner.parts.stage import Form
from stagerunner.parts.text_option import TextOption
from stagerunner.plan.devices import VISIBLE
from stagerunner.plan.model import Elsewhere, PlannedStage
from stagerunner.plan.values import checked_options, environment_of, filled, shown


def plan_stage(
    config: Config, catalog: Catalog, engine: EngineSpec, index: int, stage: PartConfig
) -> PlannedStage | list[Mistake]:
    """The stage at `index` of the chain, resolved and checked, or everything wrong with it."""
    resolved = _resolved(config, catalog, engine, stage)
    if isinstance(resolved, Mistake):
        return [resolved]
    form = resolved.form if isinstance(resolved, Elsewhere) else _form(stage, resolved)
    if isinstance(form, Mistake):
        return [form]
    options, mistakes = checked_options(config, "stage", stage, resolved.found)
    mistakes += misplaced_settings(stage, form, engine)
    mistakes = mistakes or list(_check_failed(stage, resolved.found, options))
    if mistakes:
        return mistakes
    work = _work(config, index, stage, resolved.part.target, form, options)
    return PlannedStage(
        use=stage.use.text,
        work=work,
        settings=replace(
            stage.settings,
            memo=_memo(stage.settings, resolved.part, form),
        ),
        part=resolved.part,
        shown=shown(stage, config),
        provider=resolved.provider,
        filled=filled(stage),
        python=resolved.python if isinstance(resolved, Elsewhere) else None,
    )


def _resolved(
    config: Config, catalog: Catalog, engine: EngineSpec, stage: PartConfig
) -> Resolved | Elsewhere | Mistake:
    """The part, imported, or as another Python describes it."""
    python = stage.settings.python
    if python is None:
        return catalog.resolve("stage", stage.use, config.base_of(stage.use.mark), f"{stage.path}.use")
    if not engine.pythons:
        message = f"the engine '{engine.name}' runs all stages in this Python"
        return Mistake("setting", message, stage.given["python"], f"{stage.path}.python", "take `process`")
    from stagerunner.plan.elsewhere import part_elsewhere  # late: few chains have such stages

    return part_elsewhere(config, catalog, stage, python)


def _form(stage: PartConfig, resolved: Resolved) -> Form | Mistake:
    try:
        if inspect.isasyncgenfunction(_process(resolved.found)):
            raise TypeError("an async generator can't be a stage; `async def` returns one record or None")
        return form_of(resolved.found)
    except TypeError as why:
        message = f"'{stage.use.text}' can't be a stage: {why}"
        return Mistake("form", message, stage.use.mark, f"{stage.path}.use")


def _process(found: Any) -> Any:
    if not inspect.isclass(found):
        return found
    return getattr(found, "process", None) or getattr(found, "process_batch", None)


def _check_failed(stage: PartConfig, found: Any, options: dict[str, Any]) -> Iterator[Mistake]:
    """A mistake if the stage's own `check(environment)` raises; it is called on an instance that is thrown away."""
    if not inspect.isclass(found) or not _checks(found):
        return
    environment = {**os.environ, **environment_of(stage.settings)}
    try:
        instance: Any = found(**options)
        instance.check(environment)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        text = reason(error) if isinstance(error, OSError | ValueError) else one_line(error)
        yield Mistake("stage-check", text, stage.options.mark if stage.options else stage.mark, f"{stage.path}.with")


def _checks(found: type) -> bool:
    """Whether its `check` is the plan's: any class may have a method of that name."""
    method = getattr(found, "check", None)
    return inspect.isfunction(method) and list(inspect.signature(method).parameters) == ["self", "environment"]


def _work(config: Config, index: int, stage: PartConfig, target: str, form: Form, options: dict[str, Any]) -> Work:
    settings, retry = stage.settings, stage.settings.retry
    return Work(
        index=index,
        name=stage.name,
        target=target,
        form=form,
        options=options,
        batch=None if settings.batch is None else settings.batch.size,
        wait=None if settings.batch is None else settings.batch.wait,
        concurrency=settings.concurrency,
        when=settings.when,
        attempts=retry.attempts,
        delay=retry.delay,
        factor=retry.factor,
        longest=retry.max,
        timeout=settings.timeout,
        rate=settings.rate,
        budget=_budget(settings.budget),
        on_error=settings.on_error,
        drop_reason="" if config.dropped is None else _drop_reason(form, options),
        growth=config.run.max_growth,
    )


def _drop_reason(form: Form, options: dict[str, Any]) -> str:
    """Why a record is dropped for which the stage gives nothing; with the expressions that the stage was given."""
    given = [f"{name}: {option.text}" for name, option in options.items() if isinstance(option, TextOption)]
    return ("gave no record" if form.many else "gave None") + (f" ({', '.join(given)})" if given else "")


def _memo(settings: Settings, part: Part, form: Form) -> Memo | None:
    """The memo that the config asks for; if it says nothing, the stage's own default."""
    if settings.memo is None:
        return Memo() if part.memo and not (form.state or form.arrow) else None
    return None if settings.memo.off else settings.memo


def _budget(limits: tuple[tuple[str, float], ...]) -> BudgetSpec | None:
    return BudgetSpec(limits, (0.0,) * len(limits)) if limits else None


# Settings


def misplaced_settings(stage: PartConfig, form: Form, engine: EngineSpec) -> Iterator[Mistake]:
    """A mistake for each setting that has no effect on a stage of this form or in this engine."""
    for setting, message, fix in _unusable_settings(stage, form, engine):
        if setting in stage.given:
            yield Mistake("setting", message, stage.given[setting], f"{stage.path}.{setting}", fix)


def _unusable_settings(stage: PartConfig, form: Form, engine: EngineSpec) -> Iterator[tuple[str, str, str]]:
    name = stage.name
    if form.state and stage.settings.workers > 1:
        yield "workers", f"'{name}' has state, and a stage with state has one worker", "leave `workers` out"
    if form.arrow:
        yield "batch", f"'{name}' takes Arrow batches as they come; `batch` is for lists of records", "leave it out"
        if stage.settings.memo is not None and not stage.settings.memo.off:
            yield "memo", f"'{name}' takes Arrow batches, and results are kept record by record", "leave it out"
    if not form.batch:
        yield "batch", f"'{name}' takes records one by one; `batch` is for batch transforms", "leave it out"
    if not form.awaited:
        yield "concurrency", f"'{name}' is not async; `concurrency` is for async stages", "use `workers`"
    if stage.settings.on_error == "fail":
        why = f"the first failure of '{name}' ends the run; `max_errors` is for `on_error: skip` or `dead_letter`"
        yield "max_errors", why, "give it an `on_error`, or leave it out"
    if stage.settings.resources and stage.settings.resources.gpu and VISIBLE in dict(stage.settings.env):
        yield "env", f"{VISIBLE} in `env` and `gpu` both say which devices a worker gets", "leave one of them out"
    if form.state and stage.settings.memo is not None and not stage.settings.memo.off:
        why = f"'{name}' has state: its result depends on the records before, so it can't be kept by record"
        yield "memo", why, "leave it out, or put the expensive part into a stage without state"
    if not engine.resources:
        yield "resources", f"the engine '{engine.name}' knows no resources", "leave it out"
