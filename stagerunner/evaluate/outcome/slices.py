"""Pieces of slow records end by time, so that each result leaves soon after it is made; and at once when the run is
halted."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from stagerunner.evaluate.outcome.batch_outcome import BatchOutcome

SLICE = 50_000_000
"""Nanoseconds of work after which a piece of slow records ends: each result then leaves soon after it is made."""


class Slices:
    """Ends a piece at the first end of a source record once the piece has taken SLICE.

    halted: whether the run is halted. Then the batch ends before the next record, if records are dear or the piece has
    taken SLICE. Others are let through: stages before have worked on them.
    """

    def __init__(self, halted: Callable[[], bool], *, dear: bool = False) -> None:
        self._halted = halted
        self._dear = dear
        self._end = 0

    def begin(self, outcome: BatchOutcome) -> None:
        """A piece begins."""
        self._end = monotonic_ns() + SLICE
        if self._dear and self._halted():
            outcome.halt()

    def around(self, call: Callable[[Any], Any], outcome: BatchOutcome) -> Callable[[Any], Any]:
        """The call, with a look at the clock and at the run behind it."""

        def call_and_look(argument: Any) -> Any:
            try:
                return call(argument)
            finally:
                over = monotonic_ns() >= self._end
                if (over or self._dear) and self._halted():
                    outcome.halt()
                elif over and outcome.at_source_end:
                    outcome.cursor.pause()

        return call_and_look
