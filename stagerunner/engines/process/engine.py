"""`run.engine: process`: a process for each worker, forked by the keeper.

The crew is named and not imported: the keeper begins before it.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import TYPE_CHECKING

from stagerunner.engines.process.parent.fork_server import KeeperLink
from stagerunner.engines.process.parent.prestart import keeper
from stagerunner.engines.process.parent.room import make_room
from stagerunner.evaluate.loading import load
from stagerunner.plan import Plan

if TYPE_CHECKING:
    from stagerunner.engines.base import Transport
    from stagerunner.engines.process.parent.worker_pool import Crew

CREW = "stagerunner.engines.process.parent.worker_pool:Crew"


class ProcessEngine:
    """The engine that is meant: real processes, linked by pipes."""

    name = "process"

    def __init__(self) -> None:
        self._keeper: KeeperLink | None = None

    def begin(self, plan: Plan, hash_seed: str) -> None:
        """Have the keeper begin, if it hasn't; it takes its time, which the parent can use for other things."""
        self._keeper = _instructed(plan, hash_seed)

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        crew: Crew = load(CREW)(plan, selector, lines, hash_seed)
        begun, self._keeper = self._keeper, None
        try:
            crew.prepare(begun or _instructed(plan, hash_seed))
        except BaseException:
            crew.close()
            raise
        return crew

    def close(self) -> None:
        """End the keeper, if no transport has taken it over."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None


def _instructed(plan: Plan, hash_seed: str | None) -> KeeperLink:
    """A keeper that knows what its workers will need of ours. Raises UsageError for more of them than there can be."""
    many = make_room([stage.settings.workers for stage in plan.stages] or [1])
    begun = keeper(hash_seed)
    begun.foretell(plan.our_modules)
    if many:
        begun.allow(many)
    return begun
