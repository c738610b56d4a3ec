"""How a run is opened: what takes its time is begun first, and what a run needs is imported meanwhile.

A plan is whole when this is asked for. All that is imported here is what begins the engine; the rest, half of what a
run imports at all, is named and loaded behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from stagerunner.engines.process.parent.prestart import next_hash_seed
from stagerunner.evaluate.loading import load
from stagerunner.guard import guard, refused
from stagerunner.inherited import fill_standard
from stagerunner.plan import Plan

if TYPE_CHECKING:
    from stagerunner.runtime.session import Session

SESSION = "stagerunner.runtime.session:Session"


class Resume(Struct, frozen=True):
    """What the call asks for. journal: where it is to be, instead of beside the output."""

    wanted: bool = False
    forced: bool = False
    journal: str | None = None


NO_RESUME = Resume()


class Opened(Struct, frozen=True):
    """An engine at its beginning. hash_seed: the PYTHONHASHSEED of a run that begins anew."""

    engine: Any
    hash_seed: str

    def close(self) -> None:
        """End what was begun and not taken over by a transport."""
        close = getattr(self.engine, "close", None)
        if close is not None:
            close()


def opened(plan: Plan, *, early: bool = True) -> Opened:
    """The plan's engine. early: it may begin at once, for the hash seed is known."""
    with guard(f"the engine {plan.run.engine}", "its making"):
        engine = load(plan.engine_target)()
    found = Opened(engine, next_hash_seed())
    begin = getattr(found.engine, "begin", None)
    if early and begin is not None:
        with refusals():
            begin(plan, found.hash_seed)
    return found


@contextmanager
def refusals() -> Iterator[None]:
    """What the system refuses (no more descriptors, processes or memory) stops the run; it can be resumed."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise refused(error) from error


def session(
    plan: Plan, listener: Callable[[Any], None], records: Iterable[Any] | None = None, resume: Resume = NO_RESUME
) -> Session:
    """A run of this plan, to be entered; its engine has begun, but where the journal is to say with which hash seed."""
    fill_standard()
    found = opened(plan, early=not resume.wanted)
    try:
        made: Session = load(SESSION)(plan, listener, records, resume, found)
    except BaseException:
        found.close()
        raise
    return made
