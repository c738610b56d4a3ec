"""The source `range`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stagerunner import Origin, Split, Want, source

BYTES = 8
"""The size of a number, for the window and the progress."""


@source("range")
class Range:
    """Give whole numbers in order.

    start: the first number.
    stop: the end of the range, which is not included.
    step: the difference between two numbers.
    """

    pure = True

    def __init__(self, *, start: int = 0, stop: int, step: int = 1) -> None:
        self.start = start
        self.stop = stop
        self.step = step

    def check(self) -> None:
        """Raises ValueError if the step is 0."""
        if self.step == 0:
            raise ValueError("`step` can't be 0")

    def identity(self) -> Any:
        return {"start": self.start, "stop": self.stop, "step": self.step}

    def size(self) -> int:
        given = range(self.start, self.stop, self.step)
        # `len` raises OverflowError beyond the integers of the machine.
        return BYTES * ((given[-1] - given[0]) // self.step + 1) if given else 0

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: the next number."""
        left = range(self.start if after is None else after, self.stop, self.step)
        while left:
            now, left = left[: max(1, want.records)], left[max(1, want.records) :]
            yield Split([now.start, now.stop, now.step], BYTES * len(now), left.start, len(now))

    def read(self, split: Split) -> Iterator[int]:
        return iter(range(*split.data))

    def locate(self, split: Split, number: int) -> Origin:
        value = range(*split.data)[number]
        return Origin("range", None, (value - self.start) // self.step)
