"""A stage's `rate`: when its next call may begin, whichever of its workers makes it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

Reserve: TypeAlias = Callable[[float], float]
"""Takes the seconds between two calls of a stage; gives the moment of the next one, of the monotonic clock. It is taken
then: whoever asks next gets a later one."""


def local_reserve() -> Reserve:
    """Turns of a stage that has one worker and nobody to share with."""
    free = 0.0

    def reserve(between: float) -> float:
        nonlocal free
        mine = max(free, monotonic())
        free = mine + between
        return mine

    return reserve


class RateLimiter:
    """Turns at an even rate, `rate` of them a second. What wasn't used is not saved up."""

    def __init__(self, rate: float, reserve: Reserve) -> None:
        self._between = 1 / rate
        self._reserve = reserve

    def reserve(self) -> float:
        """Seconds to wait before the next call. Turns come in the order in which they are asked for."""
        return max(0.0, self._reserve(self._between) - monotonic())


def rate_limiter(rate: float | None, reserve: Reserve | None) -> RateLimiter | None:
    """None: calls come as they come. turn: where all workers of the stage ask; None for one that is alone."""
    return None if rate is None else RateLimiter(rate, reserve or local_reserve())
