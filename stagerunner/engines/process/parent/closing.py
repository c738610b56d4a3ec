"""The end of an epoch's workers: everything is delivered, and they have the grace of a stop to close in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from time import monotonic

from stagerunner.engines.process.parent.fork_server import Ended
from stagerunner.wire.spec import Hire

LEAST = 1.0
"""Seconds that workers have at least, however soon a run that is stopped is to end."""


class Closing:
    """Who closed badly, or not in time. hires: identity → hire, for all workers of the epoch; deaths: so far."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._patience = max(LEAST, grace)
        self._since = 0.0
        self._late: list[str] = []
        self._before: list[str] = []

    def begin(self) -> None:
        """An epoch begins."""
        self._since = 0.0

    def overdue(self, hires: Mapping[int, Hire], deaths: Collection[Ended]) -> bool:
        """Whether those that are left are to be killed now; the first time it is asked, their time begins."""
        self._since = self._since or monotonic()
        gone = {death.identity for death in deaths}
        left = [hire.label for identity, hire in hires.items() if identity not in gone]
        if not left or self._late or monotonic() - self._since <= self._patience:
            return False
        self._late = left
        return True

    def failures(self, hires: Mapping[int, Hire], deaths: Sequence[Ended]) -> list[str]:
        """Workers that left with an error after END, for their `close` or a stopping hook raised; and the late ones."""
        failed = [f"{hires[death.identity].label}: {death.how}" for death in deaths if death.status > 0]
        return [*self._before, *failed, *(f"{label}: over its grace of {self.grace:g} s" for label in self._late)]

    def keep(self, hires: Mapping[int, Hire], deaths: Sequence[Ended]) -> None:
        """These workers are done with, and others go on: their failures are the run's."""
        self._before, self._late = self.failures(hires, deaths), []
