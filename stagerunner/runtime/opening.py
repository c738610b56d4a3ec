"""Begin a plan's engine: the fork server starts up while the parent imports the rest of what a run needs.

This module imports only what an engine needs to begin. The session and the loop are half of what a run imports, and
come later.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stagerunner.engines.process.parent.prestart import next_hash_seed
from stagerunner.errors import UsageError
from stagerunner.evaluate.loading import load
from stagerunner.guard import guard, refusals
from stagerunner.plan import Plan


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


def made_engine(plan: Plan) -> Any:
    """The plan's engine, with its options."""
    with guard(f"the engine {plan.run.engine}", "its making"):
        return load(plan.engine.target)(**plan.engine_options)


def problems_of(engine: Any, plan: Plan) -> list[str]:
    """Why the engine can't run the plan, as far as it can say before anything starts."""
    check = getattr(engine, "check", None)
    if check is None:
        return []
    with guard(f"the engine {plan.run.engine}", "its check"):
        return [str(problem) for problem in check(plan)]


def begin_engine(plan: Plan, *, early: bool = True) -> BegunEngine:
    """Make the plan's engine. early: let it begin at once, because the hash seed is known already. Raises
    UsageError if it can't run the plan."""
    engine = made_engine(plan)
    if problems := problems_of(engine, plan):
        raise UsageError("; ".join(problems))
    begun = BegunEngine(engine, next_hash_seed())
    begin = getattr(engine, "begin", None)
    if early and begin is not None:
        with refusals():
            begin(plan, begun.hash_seed)
    return begun
