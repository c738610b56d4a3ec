"""A stage's `rate`: when its next call may begin, whichever of its workers makes it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

Turn: TypeAlias = Callable[[float], float]
"""Takes the seconds between two calls of a stage; gives the moment of the next one, of the monotonic clock. It is taken
then: whoever asks next gets a later one."""


def alone() -> Turn:
    """Turns of a stage that has one worker and nobody to share with."""
    free = 0.0

    def turn(between: float) -> float:
        nonlocal free
        mine = max(free, monotonic())
        free = mine + between
        return mine

    return turn


class Pace:
    """Turns at an even rate, `rate` of them a second. What wasn't used is not saved up."""

    def __init__(self, rate: float, turn: Turn) -> None:
        self._between = 1 / rate
        self._turn = turn

    def ask(self) -> float:
        """Seconds to wait before the next call. Turns come in the order in which they are asked for."""
        return max(0.0, self._turn(self._between) - monotonic())


def pace_of(rate: float | None, turn: Turn | None) -> Pace | None:
    """None: calls come as they come. turn: where all workers of the stage ask; None for one that is alone."""
    return None if rate is None else Pace(rate, turn or alone())
