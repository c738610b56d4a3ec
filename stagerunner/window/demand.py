"""How many source records should be on their way so that the lists of stages that gather are full.

A filter before such a stage may drop nine of ten records, and a generator may make a hundred of one. So it is learned
from the frames that come back how many of the stage's records a source record becomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

LISTS = 3
"""Lists of each worker on their way: one in a call, one in hand behind it, one that the filter may yet thin out."""

FADING = 31 / 32
"""Weight that a frame's records keep when the next one has come."""


class Gathers(Struct, frozen=True):
    """A stage that gathers. stage: its index. size: records in a list. workers: how many make lists."""

    stage: int
    size: int
    workers: int


class Demand:
    """Learns from each frame that comes back."""

    def __init__(self, stages: Sequence[Gathers]) -> None:
        self._stages = stages
        self._source = 0.0
        self._came = [0.0] * len(stages)

    @property
    def records(self) -> int:
        """Source records that should be on their way; 0 if no stage gathers."""
        needs = (LISTS * self._source_records(place) for place in range(len(self._stages)))
        return int(max(needs, default=0))

    def _source_records(self, place: int) -> float:
        """Source records that fill a list of each worker."""
        gathers = self._stages[place]
        return gathers.size * gathers.workers * (self._source + 1) / (self._came[place] + 1)

    @property
    def first(self) -> int:
        """Frames of one record that fill the first list of each worker, as far as that can be known before."""
        return max((gathers.size * gathers.workers for gathers in self._stages), default=0)

    def learn(self, source: int, booked: Iterable[Sequence[int]]) -> None:
        """A frame of so many source records came back. booked: (stage, records that it took, …), a stage perhaps more
        than once."""
        self._source = self._source * FADING + source
        self._came = [came * FADING for came in self._came]
        for stage, taken, *_ in booked:
            for place, gathers in enumerate(self._stages):
                if gathers.stage == stage:
                    self._came[place] += taken
