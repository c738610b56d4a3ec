"""When the next call of a stage may begin: its `rate`, and the pause that a `RetryLater` asks for.

All workers of a stage share both. A pause is two words, in nanoseconds: the time of the monotonic clock before which no
call begins, or 0 if nobody has asked for a pause yet; and how long all pauses are together. They are written without a
lock. If two workers ask at the same instant, the shorter pause may win; then a call begins too early, and raises
`RetryLater` again.
"""

from __future__ import annotations

from collections.abc import Callable, MutableSequence
from time import monotonic, monotonic_ns, sleep
from typing import TypeAlias

LEAST = 0.05
"""Seconds of the shortest pause: a stage that asks for none would be called without end."""

SLICE = 0.05
"""Seconds after which a waiting worker looks again: another one may have made the pause longer, or the run may be
halted."""

ASYNC_SLICE = 0.25
"""The same for a call in an event loop: many may wait at once, and each look costs some 20 µs."""


class Halted(Exception):
    """Raised in place of a call that waits for its turn: the run is halted, and no further call begins."""


class Pause:
    """The pause of a stage. words, place: the two words that its workers share; without them, it has one worker.

    halted: whether the run is halted. Then whatever waits raises Halted.
    """

    __slots__ = ("halted", "place", "words")

    def __init__(self, words: MutableSequence[int] | memoryview | None = None, place: int = 0) -> None:
        self.words = [0, 0] if words is None else words
        self.place = place
        self.halted: Callable[[], bool] = bool

    @property
    def used(self) -> bool:
        """Whether a pause was ever asked for."""
        return self.words[self.place] != 0

    def extend(self, seconds: float) -> None:
        """Let no call begin within the next `seconds`."""
        now, before = monotonic_ns(), self.words[self.place]
        until = max(before, now + int(max(seconds, LEAST) * 1e9))
        self.words[self.place] = until
        self.words[self.place + 1] += until - max(before, now)

    def left(self) -> float:
        """Seconds until calls may begin; 0 if they may now."""
        until: int = self.words[self.place]
        return max(0, until - monotonic_ns()) / 1e9 if until else 0.0

    def times(self) -> tuple[int, int]:
        """Nanoseconds for which calls had to wait until now, and those for which they still have to."""
        left = int(self.left() * 1e9)
        return self.words[self.place + 1] - left, left

    def wait(self) -> None:
        """Sleep until the pause is over. Raises Halted."""
        while left := self.left():
            self.sleep(min(left, SLICE))

    def sleep(self, seconds: float) -> None:
        """Sleep, before a call. Raises Halted."""
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0:
            if self.halted():
                raise Halted
            sleep(min(left, SLICE))

    async def asleep(self, seconds: float) -> None:
        """The same in an event loop."""
        from asyncio import sleep  # a late import: few stages are async

        end = monotonic() + seconds
        while (left := end - monotonic()) > 0:
            if self.halted():
                raise Halted
            await sleep(min(left, ASYNC_SLICE))


class Pacer:
    """Lets a stage's calls begin when its rate and its pause allow it.

    Nobody reserves a call of the rate during a pause: all that were reserved would begin at its end.
    """

    def __init__(self, limiter: RateLimiter | None, pause: Pause) -> None:
        self._limiter = limiter
        self.pause = pause

    @property
    def waits(self) -> bool:
        """Whether a call may have to wait: the stage has a rate, or has asked for a pause."""
        return self._limiter is not None or self.pause.used

    def wait(self) -> None:
        """Sleep until the next call may begin. Raises Halted."""
        while True:
            self.pause.wait()
            if wait := self._reserved():
                self.pause.sleep(wait)
            if not self.pause.left():
                return

    async def turn(self) -> None:
        """The same in an event loop."""
        while True:
            while left := self.pause.left():
                await self.pause.asleep(left)
            if wait := self._reserved():
                await self.pause.asleep(wait)
            if not self.pause.left():
                return

    def _reserved(self) -> float:
        """Seconds until the call that is reserved now; 0 without a rate."""
        return 0.0 if self._limiter is None else self._limiter.reserve()


# The rate


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
