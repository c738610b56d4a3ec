"""The engine of a plan itself, and why it can't run the plan."""

from __future__ import annotations

from typing import Any

from stagerunner.config.model import Config
from stagerunner.config.nodes import reached
from stagerunner.errors import Mark, Mistake
from stagerunner.evaluate.loading import load
from stagerunner.guard import guard
from stagerunner.hookspecs import Problem
from stagerunner.plan.model import Plan


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
