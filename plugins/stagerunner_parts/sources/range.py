"""The source `range`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stagerunner import Origin, Split, Want, source

BYTES = 8
"""What a number counts for in the window and in the progress."""


@source("range")
class Range:
    """Give whole numbers in order.

    start: the first one.
    stop: the end, which isn't given itself.
    step: how far it is from one to the next.
    """

    pure = True

    def __init__(self, *, start: int = 0, stop: int, step: int = 1) -> None:
        self.start = start
        self.stop = stop
        self.step = step

    def check(self) -> None:
        """Raises ValueError when the step leads nowhere."""
        if self.step == 0:
            raise ValueError("`step` can't be 0")

    def identity(self) -> Any:
        return {"start": self.start, "stop": self.stop, "step": self.step}

    def size(self) -> int:
        given = range(self.start, self.stop, self.step)
        # `len` knows machine integers alone.
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
