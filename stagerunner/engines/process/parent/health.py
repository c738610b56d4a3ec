"""What the parent sees of its workers through the metrics: clocks, deadlines, memory."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic, monotonic_ns

from msgspec.structs import replace

from stagerunner.engines.base import Clock, Trouble
from stagerunner.engines.process.parent.memory import oom_kills
from stagerunner.engines.process.parent.root_cause import heavy, overdue
from stagerunner.wire.metrics import BLOCK, CODEC, OUT, SEQUENCE, TAKEN, WAIT, WORK, MetricsPage
from stagerunner.wire.spec import WorkerSpec

GLANCE = 0.05
"""Seconds between two looks at the deadlines: with a look at every frame, one would cost a sixth of the other."""

GAP = 10**9
"""Nanoseconds without a look that mean we were stopped, or the machine slept: nobody is late because of that."""

STACKS = 0.2
"""Seconds a hung worker gets to print its stacks."""


class Health:
    """One run's workers, epoch by epoch."""

    def __init__(self, page: MetricsPage) -> None:
        self._page = page
        self._stacks_shown = False
        self.begin()

    def begin(self) -> None:
        """A new epoch: nobody is late, and nobody was killed for memory."""
        self._late: Trouble | None = None
        self._glance = self._asked = 0.0
        self._looked = self._counted = 0
        self._oom_kills = oom_kills()

    def look(self, specs: Mapping[int, WorkerSpec], pids: Mapping[int, int]) -> Trouble | None:
        """Who is over a deadline or its memory, once it has had the time to say where it hangs. Looks now and then."""
        if monotonic() < self._glance:
            return None
        self._glance = monotonic() + GLANCE
        if self._late is not None:
            return self._late if monotonic() > self._asked + STACKS else None
        self._late = overdue(specs, self._page, pids, self._since()) or heavy(specs, self._page, pids)
        if self._late is not None:
            self._ask_for_stacks(self._late.pid)
        return None

    def _since(self) -> int:
        """From when on time counts. A long gap between two looks starts it anew."""
        now = monotonic_ns()
        if now - self._looked > GAP or self._looked == 0:
            self._counted = now
        self._looked = now
        return self._counted

    def _ask_for_stacks(self, pid: int) -> None:
        """Have a hung worker print its stacks before it is killed."""
        self._asked = monotonic()
        if pid and not self._stacks_shown:
            self._stacks_shown = True  # once a run is enough to see where it hangs
            with suppress(OSError):
                os.kill(pid, signal.SIGUSR1)

    def named(self, trouble: Trouble) -> Trouble:
        """Say so if it was the kernel that killed."""
        if trouble.how != "SIGKILL" or oom_kills() <= self._oom_kills:
            return trouble
        return replace(trouble, how="SIGKILL, by the kernel: out of memory")

    def begun(self, specs: Mapping[int, WorkerSpec]) -> list[int]:
        """How far each worker of the widest group is; where several are as wide, the last of those with its frames."""
        widest = max(spec.width for spec in specs.values())
        latest = [sys.maxsize] * widest
        for spec in specs.values():
            if spec.width == widest:
                sequence = self._page.slot(spec.slots[0]).words[SEQUENCE]
                latest[spec.number] = min(latest[spec.number], sequence)
        return latest

    def clocks(self, specs: Mapping[int, WorkerSpec]) -> list[Clock]:
        """The clocks of each worker and stage."""
        return [self._clock(spec, position) for spec in specs.values() for position in range(len(spec.slots))]

    def _clock(self, spec: WorkerSpec, position: int) -> Clock:
        words = self._page.slot(spec.slots[position]).words
        index = spec.works[position].index if spec.works else 0
        return Clock(index, words[WORK], words[CODEC], words[WAIT], words[BLOCK], words[TAKEN], words[OUT])
