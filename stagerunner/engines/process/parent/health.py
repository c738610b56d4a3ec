"""The parent's view of its workers through the metrics page: clocks, deadlines, memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic, monotonic_ns

from msgspec.structs import replace

from stagerunner.engines.base import Clock, Trouble
from stagerunner.engines.process.parent.memory import oom_kills
from stagerunner.engines.process.parent.root_cause import heavy, overdue
from stagerunner.engines.slots import begun, clocks
from stagerunner.wire.metrics import MetricsPage
from stagerunner.wire.spec import WorkerSpec

GLANCE = 0.05
"""Seconds between two checks of deadlines. A check for every frame would cost a sixth of the frame."""

GAP = 10**9
"""Nanoseconds between two checks that mean we were stopped, or the machine slept: deadlines begin anew."""

STACKS = 0.2
"""Seconds that a hung worker gets to print its stacks."""


class Health:
    """Watches the workers of a run, epoch by epoch."""

    def __init__(self, page: MetricsPage) -> None:
        self._page = page
        self._stacks_shown = False
        self.begin()

    def begin(self) -> None:
        """A new epoch: no worker is late, and none was killed for memory."""
        self._late: Trouble | None = None
        self._asked = 0.0
        self.glance = 0.0
        """When to look again, by the monotonic clock: before, `look` does nothing."""
        self._looked = self._counted = 0
        self._oom_kills = oom_kills()

    def look(self, specs: Mapping[int, WorkerSpec], pids: Mapping[int, int]) -> Trouble | None:
        """The worker that is over a deadline or its memory, once it had time to print its stacks. Checks now and
        then."""
        if monotonic() < self.glance:
            return None
        self.glance = monotonic() + GLANCE
        if self._late is not None:
            return self._late if monotonic() > self._asked + STACKS else None
        self._late = overdue(specs, self._page, pids, self._since()) or heavy(specs, self._page, pids)
        if self._late is not None:
            self._ask_for_stacks(self._late.pid)
        return None

    def _since(self) -> int:
        """The moment from which on time counts. A long gap between two checks resets it."""
        now = monotonic_ns()
        if now - self._looked > GAP or self._looked == 0:
            self._counted = now
        self._looked = now
        return self._counted

    def _ask_for_stacks(self, pid: int) -> None:
        """Have a hung worker print its stacks before it is killed, once in a run."""
        self._asked = monotonic()
        if pid and not self._stacks_shown:
            self._stacks_shown = True
            with suppress(OSError):
                os.kill(pid, signal.SIGUSR1)

    def named(self, trouble: Trouble) -> Trouble:
        """The trouble, saying so if the kernel killed for lack of memory."""
        if trouble.how != "SIGKILL" or oom_kills() <= self._oom_kills:
            return trouble
        return replace(trouble, how="SIGKILL, by the kernel: out of memory")

    def begun(self, specs: Mapping[int, WorkerSpec]) -> list[int]:
        """See `slots.begun`."""
        return begun(list(specs.values()), self._page)

    def clocks(self, specs: Mapping[int, WorkerSpec]) -> list[Clock]:
        """The clocks of each worker and stage."""
        return clocks(specs.values(), self._page)
