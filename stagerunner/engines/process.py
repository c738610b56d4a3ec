"""`run.engine: process`: a process for each worker, forked by the keeper."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from stagerunner.chain.crew import Crew
from stagerunner.chain.transport import Transport
from stagerunner.plan import Plan


class ProcessEngine:
    """The engine that is meant: real processes, linked by pipes."""

    name = "process"

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        crew = Crew(plan, selector, lines, hash_seed)
        try:
            crew.prepare()
        except BaseException:
            crew.close()
            raise
        return crew
