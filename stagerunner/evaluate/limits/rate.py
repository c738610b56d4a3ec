"""A stage's `rate`: when its next call may begin, in whichever of its workers."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

Reserve: TypeAlias = Callable[[float], float]
"""Reserves a stage's next call. Takes the seconds between two calls; returns a time of the monotonic clock."""


def local_reserve() -> Reserve:
    """Reservations of a stage that has only one worker."""
    free = 0.0

    def reserve(between: float) -> float:
        nonlocal free
        start = max(free, monotonic())
        free = start + between
        return start

    return reserve


class RateLimiter:
    """Lets `rate` calls a second begin, evenly spaced. Unused time is not saved up."""

    def __init__(self, rate: float, reserve: Reserve) -> None:
        self._between = 1 / rate
        self._reserve = reserve

    def reserve(self) -> float:
        """Reserve the next call: seconds to wait before it."""
        return max(0.0, self._reserve(self._between) - monotonic())


def rate_limiter(rate: float | None, reserve: Reserve | None) -> RateLimiter | None:
    """The limiter of a stage; None without a rate. reserve: shared by its workers; None if there is only one."""
    return None if rate is None else RateLimiter(rate, reserve or local_reserve())
