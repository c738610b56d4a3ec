"""Which source records should be on their way so that the lists of stages that gather are full.

A filter before such a stage may drop nine of ten records, and a generator may make a hundred of one. So it is learned
how many of the stage's records a source record becomes: from the frames that come back, and, as long as the first lists
aren't full, from what the stages before have done so far.

Where each source record becomes one of the stage's, frames are cut so that they fill its workers' lists exactly, and
all workers get as many records. Then the last lists of a run are the only ones that may be short. The same is done for
the places of an async stage with several workers, if its calls are long: of 160 calls in sixteen places, four more
would take another round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from msgspec import Struct

LISTS = 3
"""Lists of each worker on their way: one in a call, one in hand behind it, one that the filter may yet thin out."""

FADING = 31 / 32
"""Weight that a frame's records keep when the next one has come."""

PARTS = 8
"""Frames that fill a list, at least, until one has come back."""

CATCHING_UP = 1.5
"""A worker that has had fewer records than another may get a frame so many times as large as is wanted."""

EVEN = 0.01
"""Share of the records by which those that came to a stage may differ, if each source record becomes one of its own."""


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
        self._widest = max(range(len(stages)), key=lambda place: stages[place].size, default=0)
        """The place of the stage whose lists the frames should fill exactly: the one with the longest."""
        self._dealt = [0] * stages[self._widest].workers if stages else []
        """Records that each of its workers was sent in this epoch."""

    @property
    def records(self) -> int:
        """Source records that should be on their way; 0 if no stage gathers."""
        if not self._stages:
            return 0
        return ceil(max(LISTS * self._source_records(place) for place in range(len(self._stages))))

    def _source_records(self, place: int) -> float:
        """Source records that fill a list of each worker."""
        gathers = self._stages[place]
        return gathers.size * gathers.workers * (self._source + 1) / (self._came[place] + 1)

    @property
    def stages_before(self) -> int:
        """How many stages stand before the first one that gathers."""
        return self._stages[0].stage if self._stages else 0

    @property
    def part(self) -> int:
        """Source records of a frame that is one of PARTS to fill a list."""
        needs = (self._source_records(place) / stage.workers for place, stage in enumerate(self._stages))
        return max(1, int(min(needs, default=0) / PARTS))

    def foresee(self, source: int, came: int) -> None:
        """No frame is back: the stages before the first one that gathers took so many source records, and gave so many
        to it."""
        self._source, self._came[0] = float(source), float(came)

    # Frames that fill lists exactly

    @property
    def even(self) -> bool:
        """Whether, as far as is known, each source record becomes one of the stage with the longest lists."""
        return bool(self._stages) and abs(self._came[self._widest] - self._source) <= EVEN * self._source

    def begin(self) -> None:
        """A new epoch: no worker has a record."""
        self._dealt = [0] * len(self._dealt)

    def dealt(self, sequence: int, records: int) -> None:
        """A frame of so many source records was sent."""
        if self._dealt:
            self._dealt[sequence % len(self._dealt)] += records

    @property
    def size(self) -> int:
        """Records in the longest lists."""
        return self._stages[self._widest].size if self._stages else 0

    def fitting(self, sequence: int, wanted: int) -> int:
        """Records that the frame with this sequence should hold, if so many are wanted: equal parts of what its worker
        is behind the others, or else of what its list lacks; or several lists."""
        mine, most = self._dealt[sequence % len(self._dealt)], max(self._dealt)
        size = self.size
        lacks = size - mine % size
        lacks += max(0, wanted - lacks) // size * size
        lacks = min(most - mine or lacks, lacks)
        parts = ceil(lacks / (wanted * CATCHING_UP if mine < most else wanted))
        return ceil(lacks / parts)

    def learn(self, source: int, booked: Iterable[Sequence[int]]) -> None:
        """A frame of so many source records came back. booked: (stage, records that it took, …), a stage perhaps more
        than once."""
        self._source = self._source * FADING + source
        self._came = [came * FADING for came in self._came]
        for stage, taken, *_ in booked:
            for place, gathers in enumerate(self._stages):
                if gathers.stage == stage:
                    self._came[place] += taken
