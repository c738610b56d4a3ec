"""How fast a chain will be, from what each stage, hop and end of it costs. Pure: no clock, no I/O.

A chain is as fast as its slowest part: a group of stages, divided by its workers; the parent; what feeds it; a rate
that is set; or all of them together, divided by the cores. Times are seconds per source record throughout, so that
stages that drop or multiply records can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct


class StageCost(Struct, frozen=True):
    """One stage. service: how long one worker is taken up; an async stage's latency ÷ its concurrency.

    cpu: of that, how long a core is. most: workers it can have at most, None for any number. joins: it can share its
    workers with the stage before. pace: no less than this, whatever the workers, for a `rate` is set.
    """

    name: str
    service: float
    cpu: float
    workers: int = 1
    most: int | None = None
    joins: bool = False
    pace: float = 0.0


class Hop(Struct, frozen=True):
    """Between two workers, or a worker and the parent: what it costs on either side, moving the bytes included."""

    encode: float = 0.0
    decode: float = 0.0


class Load(Struct, frozen=True):
    """A whole chain. hops: one more than there are stages, the ends included: reading the source is the decoding of
    the first, encoding for the sink the encoding of the last. parent: its own part. feeder: that of a stream's process.
    """

    stages: tuple[StageCost, ...]
    hops: tuple[Hop, ...]
    parent: float = 0.0
    feeder: float = 0.0

    def codec(self, start: int, end: int) -> float:
        """What comes in and goes out at the ends of the group of stages start ≤ i < end."""
        return self.hops[start].decode + self.hops[end].encode

    def spent(self, start: int, end: int) -> float:
        """How long one worker of that group is taken up."""
        return self.codec(start, end) + sum(stage.service for stage in self.stages[start:end])

    def used(self, start: int, end: int) -> float:
        """How long it takes up a core."""
        return self.codec(start, end) + sum(stage.cpu for stage in self.stages[start:end])

    @property
    def beside(self) -> float:
        """What all the processes that are no workers take up of a core."""
        return self.parent + self.feeder

    @property
    def floor(self) -> float:
        """What no number of workers changes."""
        return max(self.parent, self.feeder, *(stage.pace for stage in self.stages))


class Team(Struct, frozen=True):
    """The workers of one group. busy: the share of their time that they are taken up, in the chain as predicted."""

    stages: tuple[str, ...]
    workers: int
    busy: float


class Forecast(Struct, frozen=True):
    """rate: source records per second. limit: what holds it there. cores: how many are busy then."""

    teams: tuple[Team, ...]
    rate: float
    limit: str
    cores: float


Layout = Sequence[tuple[int, int]]
"""(stages, workers) of each group, from the first to the last."""


def predict(load: Load, layout: Layout, cores: int) -> Forecast:
    """The chain with these groups on so many cores."""
    ends = list(accumulate(size for size, _ in layout))
    spans = [(end - size, end, workers) for end, (size, workers) in zip(ends, layout, strict=True)]
    used = sum(load.used(start, end) for start, end, _ in spans) + load.beside
    bounds = {_name(load, start, end): load.spent(start, end) / workers for start, end, workers in spans}
    bounds |= _paces(load)
    bounds |= {"the parent": load.parent, "the source": load.feeder, "the cores": used / cores}
    limit = max(bounds, key=lambda name: bounds[name])
    period = bounds[limit]
    teams = tuple(_team(load, start, end, workers, period) for start, end, workers in spans)
    return Forecast(teams, 1 / period if period else 0.0, limit if period else "", used / period if period else 0.0)


def _paces(load: Load) -> dict[str, float]:
    return {f"the rate of {stage.name}": stage.pace for stage in load.stages if stage.pace}


def _team(load: Load, start: int, end: int, workers: int, period: float) -> Team:
    names = tuple(stage.name for stage in load.stages[start:end])
    return Team(names, workers, load.spent(start, end) / workers / period if period else 0.0)


def _name(load: Load, start: int, end: int) -> str:
    return " + ".join(stage.name for stage in load.stages[start:end])
