"""Begin a plan's engine: the fork server starts up while the parent imports the rest of what a run needs.

This module imports only what an engine needs to begin. The session and the loop are half of what a run imports, and
come later.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stagerunner.config.model import Config
from stagerunner.engines.process.parent.prestart import next_hash_seed
from stagerunner.errors import ConfigError, UsageError
from stagerunner.guard import guard, refusals
from stagerunner.parts.hooks import PROJECT
from stagerunner.plan import Plan
from stagerunner.plan.engine_check import made_engine, placed, problems_of


class Resume(Struct, frozen=True):
    """What the call asks for. journal: the path of the journal, if it is not to be beside the output."""

    wanted: bool = False
    forced: bool = False
    journal: str | None = None


NO_RESUME = Resume()


class BegunEngine(Struct, frozen=True):
    """An engine that has begun, if it can. hash_seed: the PYTHONHASHSEED of a run that starts anew."""

    engine: Any
    hash_seed: str

    def close(self) -> None:
        """End what has begun and no transport has taken over."""
        close = getattr(self.engine, "close", None)
        if close is not None:
            close()


def engine_guard(plan: Plan) -> guard | None:
    """What turns the exceptions of a plugin's engine into failures; None for a built-in engine."""
    foreign = not plan.engine.target.startswith(f"{PROJECT}.")
    return guard(f"the engine {plan.run.engine}", "its transport") if foreign else None


def begin_engine(plan: Plan, *, early: bool = True, config: Config | None = None) -> BegunEngine:
    """Make the plan's engine. early: let it begin at once, because the hash seed is known already. config: the plan's.

    Raises ConfigError if it can't run the plan; without the config, UsageError.
    """
    engine = made_engine(plan)
    if problems := problems_of(engine, plan):
        if config is not None:
            raise ConfigError(placed(problem, config, plan.engine.name) for problem in problems)
        raise UsageError("; ".join(problem.message for problem in problems))
    begun = BegunEngine(engine, next_hash_seed())
    begin = getattr(engine, "begin", None)
    if early and begin is not None:
        with refusals():
            begin(plan, begun.hash_seed)
    return begun
