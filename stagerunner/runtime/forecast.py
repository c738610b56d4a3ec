"""Predict how fast a chain is, and with which workers it would be faster, from a sample of its stages.

A chain is as fast as its slowest group of stages, divided by its workers, or as all of its work together, divided by
the cores. Times are seconds per source record, so that stages that drop or multiply records compare. An async stage
that waits gets more calls at once before it gets more workers. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, repeat

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.plan import Plan, PlannedStage
from stagerunner.plan.fusing import why_apart
from stagerunner.runtime.sample import Sample, StageCost, calls_at_once

HOP = 50e-6
"""Seconds that a frame costs a worker besides its records, in and out; the inline engine has no pipes."""

WORTH = 0.95
"""Another worker is worth it if it brings the time down to this share."""

MOST = 64
"""The most workers of a group."""

MORE_CALLS = 4
"""So many times as many calls at once as the config says are advised at most: whom they ask must bear them."""

MORE_WORKERS = 4
"""So many times as many workers as the config says are advised at most, if that is more than there are cores: each
needs memory, and what it waits for must bear it."""


class PredictedGroup(Struct, frozen=True):
    """Stages that share their workers. time: seconds of one worker per source record.

    concurrency: calls at once of an async stage, `most_calls` at most; 0 for other stages. least: seconds per source
    record that no more calls at once can save, since a worker computes for so long. pace: seconds per source record
    that its `rate` asks for, whatever the workers.
    """

    stages: tuple[str, ...]
    workers: int
    time: float
    most: int = MOST
    concurrency: int = 0
    most_calls: int = 0
    least: float = 0.0
    pace: float = 0.0

    @property
    def takes(self) -> float:
        """Seconds per source record of all its workers together."""
        return max(self.time / self.workers, self.pace)

    def wider(self) -> PredictedGroup:
        """An async stage that waits with twice the calls at once, any other with one more worker; or itself."""
        if self.takes == self.pace:
            return self
        if not self.concurrency or self.time * WORTH <= self.least:
            return replace(self, workers=self.workers + 1) if self.workers < self.most else self
        if 2 * self.concurrency > self.most_calls:
            return self
        return replace(self, concurrency=2 * self.concurrency, time=max(self.time / 2, self.least))


class Forecast(Struct, frozen=True):
    """rate: source records per second; 0 if unknown. limit: the group, or the cores, that limits it."""

    groups: tuple[PredictedGroup, ...]
    rate: float
    limit: str

    def busy(self, group: PredictedGroup) -> float:
        """The share of their time that a group's workers work."""
        return min(1.0, group.time * self.rate / group.workers)


def as_written(plan: Plan, sample: Sample, cores: int) -> Forecast:
    """The forecast with the workers of the config."""
    sizes = _fusible(plan) if plan.run.fuse == "auto" else (1,) * len(plan.stages)
    return forecast(_groups(plan, sample, sizes, cores), _cpu(plan, sample, sizes) / cores)


def better(plan: Plan, sample: Sample, cores: int) -> Forecast:
    """The forecast with as many workers, and as much sharing, as pays."""
    apart, shared = (_widened(plan, sample, sizes, cores) for sizes in ((1,) * len(plan.stages), _fusible(plan)))
    return shared if shared.rate * WORTH > apart.rate else apart


def forecast(groups: Sequence[PredictedGroup], shared: float) -> Forecast:
    """The forecast for these groups. shared: seconds per source record with all cores busy."""
    times = {" + ".join(group.stages): group.takes for group in groups} | {"the cores": shared}
    limit = max(times, key=lambda name: times[name])
    return Forecast(tuple(groups), 1 / times[limit] if times[limit] else 0.0, limit)


def _widened(plan: Plan, sample: Sample, sizes: Sequence[int], cores: int) -> Forecast:
    """Start with one worker each, and add workers to the slowest group as long as it pays."""
    shared = _cpu(plan, sample, sizes) / cores
    found = forecast([replace(group, workers=1) for group in _groups(plan, sample, sizes, cores)], shared)
    while True:
        wider = [group.wider() if " + ".join(group.stages) == found.limit else group for group in found.groups]
        then = forecast(wider, shared)
        if wider == list(found.groups) or then.rate * WORTH < found.rate:
            return found
        found = then


def _groups(plan: Plan, sample: Sample, sizes: Sequence[int], cores: int) -> list[PredictedGroup]:
    groups, start = [], 0
    for size in sizes:
        stages, costs = plan.stages[start : start + size], sample.stages[start : start + size]
        time = sum(cost.work for cost in costs) + max(cost.codec for cost in costs) + HOP / sample.frame
        most = min(_most_workers(stage, cores) for stage in stages)
        names, pace = tuple(stage.name for stage in stages), max(map(_pace, stages, costs, repeat(sample.records)))
        group = PredictedGroup(names, stages[0].settings.workers, time, most, pace=pace)
        if size == 1 and (calls := calls_at_once(stages[0])):
            least = min(time, time - costs[0].work + _computed(plan, sample))
            group = replace(group, concurrency=calls, most_calls=MORE_CALLS * calls, least=least)
        groups.append(group)
        start += size
    return groups


def _most_workers(stage: PlannedStage, cores: int) -> int:
    """How many workers may be advised: none without a device of its own."""
    if stage.work.form.state:
        return 1
    workers = stage.settings.workers
    return workers if stage.gpus else min(MOST, max(cores, MORE_WORKERS * workers))


def _pace(stage: PlannedStage, cost: StageCost, records: int) -> float:
    """Seconds per source record that the stage's `rate` asks for; 0 without one, or if a list has no size."""
    work = stage.work
    if not work.rate or not records or (work.form.batch and not work.batch):
        return 0.0
    return cost.taken / (work.batch or 1) / records / work.rate


def _computed(plan: Plan, sample: Sample) -> float:
    """The most seconds of processor time per source record that its async stages can have had."""
    others = sum(
        cost.codec + (0.0 if calls_at_once(stage) else cost.work)
        for stage, cost in zip(plan.stages, sample.stages, strict=True)
    )
    return max(0.0, sample.cpu - others)


def _cpu(plan: Plan, sample: Sample, sizes: Sequence[int]) -> float:
    """Seconds of processor time per source record: as measured, with the hops of these groups."""
    codec = sum(cost.codec for cost in sample.stages)
    kept = sum(
        max(cost.codec for cost in sample.stages[end - size : end])
        for size, end in zip(sizes, _ends(sizes), strict=True)
    )
    return sample.cpu - codec + kept + len(sizes) * HOP / sample.frame


def _ends(sizes: Sequence[int]) -> list[int]:
    return [sum(sizes[: place + 1]) for place in range(len(sizes))]


def _fusible(plan: Plan) -> tuple[int, ...]:
    """Sizes of groups, if `fuse: auto` were set and all stages had the same number of workers."""
    sizes: list[int] = []
    for before, stage in pairwise((None, *plan.stages)):
        assert stage is not None
        if before is not None and _can_share(plan, before, stage):
            sizes[-1] += 1
        else:
            sizes.append(1)
    return tuple(sizes)


def _can_share(plan: Plan, before: PlannedStage, stage: PlannedStage) -> bool:
    asked = replace(plan, run=replace(plan.run, fuse="auto"))
    one, two = (replace(part, settings=replace(part.settings, workers=1)) for part in (before, stage))
    return why_apart(asked, one, two) is None
