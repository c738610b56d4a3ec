"""Pieces of slow records end by time, so that each result leaves soon after it is made."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from stagerunner.evaluate.batch_outcome import BatchOutcome

SLICE = 50_000_000
"""Nanoseconds of work after which a piece of slow records ends: each result then leaves soon after it is made."""


class Slices:
    """Ends a piece at the first end of a source record once the piece has taken SLICE."""

    def __init__(self) -> None:
        self._end = 0

    def begin(self) -> None:
        """A piece begins."""
        self._end = monotonic_ns() + SLICE

    def around(self, call: Callable[[Any], Any], outcome: BatchOutcome) -> Callable[[Any], Any]:
        """The call, with a look at the clock behind it."""

        def call_and_look(argument: Any) -> Any:
            try:
                return call(argument)
            finally:
                if monotonic_ns() >= self._end and outcome.at_source_end:
                    outcome.cursor.pause()

        return call_and_look
