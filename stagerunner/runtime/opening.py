"""Begin a plan's engine: the fork server starts up while the parent imports the rest of what a run needs.

This module imports only what an engine needs to begin. The session and the loop are half of what a run imports, and
come later.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stagerunner.engines.process.parent.prestart import next_hash_seed
from stagerunner.errors import UsageError
from stagerunner.guard import refusals
from stagerunner.plan import Plan
from stagerunner.plan.engines import made_engine, problems_of


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
