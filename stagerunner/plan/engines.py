"""Which engine runs a plan: the built-in ones, those of plugins, and their options."""

from __future__ import annotations

import inspect
from typing import Any

from stagerunner.catalog import Catalog, Unresolved
from stagerunner.catalog.importing import import_target
from stagerunner.config.model import Config
from stagerunner.config.options import options_of, read_options
from stagerunner.config.wording import did_you_mean, listed
from stagerunner.errors import Mark, Mistake
from stagerunner.hookspecs import EngineSpec

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
