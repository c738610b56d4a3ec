"""Which engine runs a plan: the built-in ones, those of plugins, and their options."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from stagerunner.catalog import Catalog, Unresolved
from stagerunner.catalog.importing import import_target
from stagerunner.config.model import Config
from stagerunner.config.nodes import reached
from stagerunner.config.options import options_of, read_options
from stagerunner.config.wording import did_you_mean, listed
from stagerunner.errors import Mark, Mistake
from stagerunner.evaluate.loading import load
from stagerunner.guard import guard
from stagerunner.hookspecs import EngineSpec, Problem

if TYPE_CHECKING:
    from stagerunner.plan.model import Plan

BUILT_IN = {
    spec.name: spec
    for spec in (
        EngineSpec(
            "process",
            "stagerunner.engines.process.engine:ProcessEngine",
            "one process for each worker",
            resources=True,
            pythons=True,
            kills=True,
            hard_timeouts=True,
            ahead=True,
        ),
        EngineSpec(
            "inline",
            "stagerunner.engines.inline:InlineEngine",
            "everything in this process",
            resources=True,
            in_process=True,
        ),
        EngineSpec(
            "threads",
            "stagerunner.engines.threads:ThreadsEngine",
            "one thread of this process for each worker",
            resources=True,
            in_process=True,
            ahead=True,
        ),
    )
}


OF_PLUGINS = {"ray": "it is in a distribution of its own: pip install stagerunner-ray"}
"""Engines of ours that a plain install doesn't have, and where they are."""


def chosen_engine(config: Config, catalog: Catalog, name: str | None = None) -> EngineSpec | Mistake:
    """The engine of this name; without one, that of the config."""
    engines = {**catalog.engines, **BUILT_IN}
    wanted = name or config.run.engine
    if wanted in engines:
        return engines[wanted]
    mark = Mark("--engine", 1, 1, wanted, len(wanted)) if name else _mark(config)
    fix = OF_PLUGINS.get(wanted) or did_you_mean(wanted, engines) or f"there is {listed(sorted(engines))}"
    return Mistake("unknown-engine", f"no engine is called '{wanted}'", mark, "run.engine", fix)


def engine_options(config: Config, engine: EngineSpec) -> tuple[dict[str, Any], list[Mistake]]:
    """The options under `with` of `run.engine`: the keyword-only arguments of the engine's class."""
    node = config.run.engine_options
    if node is None or engine.name != config.run.engine:
        return {}, []
    if engine.name in BUILT_IN:
        return {}, [Mistake("option", f"the engine '{engine.name}' takes no options", node.mark, "run.engine.with")]
    try:
        found = import_target(engine.target)
        taken = _keyword_only(found)
        options = tuple(option for option in options_of(found) if option.name in taken)
    except (Unresolved, TypeError) as why:
        return {}, [Mistake("engine", f"the engine '{engine.name}' can't be used: {why}", _mark(config), "run.engine")]
    return read_options(options, node, mark=node.mark, path="run.engine.with", base=config.base_of)


def _keyword_only(found: Any) -> set[str]:
    parameters = inspect.signature(found).parameters
    return {name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}


def _mark(config: Config) -> Mark:
    return config.run.engine_mark or config.root.mark


# The engine itself


def made_engine(plan: Plan) -> Any:
    """The plan's engine, with its options."""
    with guard(f"the engine {plan.run.engine}", "its making"):
        return load(plan.engine.target)(**plan.engine_options)


def problems_of(engine: Any, plan: Plan) -> list[Problem]:
    """Why the engine can't run the plan, as far as it can say before anything starts."""
    check = getattr(engine, "check", None)
    if check is None:
        return []
    with guard(f"the engine {plan.run.engine}", "its check"):
        return [problem if isinstance(problem, Problem) else Problem(str(problem)) for problem in check(plan)]


def placed(problem: Problem, config: Config, engine: str) -> Mistake:
    """The problem as a mistake: where in the config that stands which can't work. engine: the one of the plan."""
    way: tuple[str | int, ...] = ("run", "engine", *(("with", *problem.place) if problem.place else ()))
    if problem.stage:
        number = next((at for at, stage in enumerate(config.stages) if stage.name == problem.stage), 0)
        way = ("stages", number, *problem.place)
    elif engine != config.run.engine:
        mark = Mark("--engine", 1, 1, engine, len(engine))
        return Mistake("engine", problem.message, mark, "run.engine", problem.fix)
    node, path = reached(config.root, way)
    return Mistake("engine", problem.message, node.mark, path, problem.fix)
