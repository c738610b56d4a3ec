"""What a sample says of a chain: how fast it will be as it is written, and how it would be faster.

What a sample in one process can't show is counted in: each frame costs something besides its records, in each worker
and in the parent, and each byte is copied into a pipe and out of it. tests/bench/job_j.py compares with runs.
"""

from __future__ import annotations

import os

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.engines.layouts import Groups, as_written, suggested
from stagerunner.engines.prediction import Forecast, Hop, Load, StageCost, predict
from stagerunner.engines.sampling import Cost, Sample
from stagerunner.plan import Plan, PlannedStage
from stagerunner.plan.fusing import why_apart

FRAME = 25e-6
"""Seconds that a frame costs a worker on its way in, and again on its way out, whatever is in it."""

PARENT = 130e-6
"""Seconds that it costs the parent, from the split to the commit."""

BYTE = 0.15e-9
"""Seconds that a byte costs on either side of a pipe."""

WRITTEN = 0.5e-9
"""Seconds that the parent takes to write a byte to a file."""


class Advice(Struct, frozen=True):
    """written: as the config says. better: as it could be, the same where nothing is gained. fuse: whether `better`
    has stages share workers that don't do so as written.
    """

    cores: int
    sample: Sample
    written: Forecast
    better: Forecast
    fuse: bool


def advise(plan: Plan, sample: Sample, cores: int | None = None) -> Advice:
    """cores: those that this process may use, unless it is said how many."""
    cores = cores or usable_cores()
    load = load_of(plan, sample)
    now = as_written(load, cores, fuse=plan.run.fuse == "auto")
    then = suggested(load, cores)
    written, better = predict(load, now, cores), predict(load, then, cores)
    if not _worth(now, written, then, better):
        then, better = now, written
    return Advice(cores, sample, written, better, fuse=plan.run.fuse == "off" and any(size > 1 for size, _ in then))


def _worth(now: Groups, written: Forecast, then: Groups, better: Forecast) -> bool:
    """Whether it is quicker, by as much as can be predicted, or as quick with fewer processes."""
    fewer = sum(workers for _, workers in then) < sum(workers for _, workers in now)
    return better.rate > written.rate * (1.0 if fewer else 1.05) or (fewer and better.rate > written.rate * 0.95)


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load_of(plan: Plan, sample: Sample) -> Load:
    """The costs of a sample as the model takes them."""
    share = FRAME / sample.frame
    first = Hop(0.0, sample.source.work + share)
    between = [_hop(cost.size, cost.encode, cost.decode, share) for cost in sample.stages]
    last = between.pop() if between else Hop()
    if plan.sink is not None:
        sink = sample.sink
        last = _hop(sink.size, sink.work, sink.size * WRITTEN, share)
    parent, feeder = PARENT / sample.frame + last.decode, sample.cutting
    if not sample.streamed:
        parent, feeder = parent + sample.cutting, 0.0
    return Load(_stages(plan, sample), (first, *between, last), parent, feeder)


def _hop(size: float, encode: float, decode: float, share: float) -> Hop:
    moved = size * BYTE + share
    return Hop(encode + moved, decode + moved)


def _stages(plan: Plan, sample: Sample) -> tuple[StageCost, ...]:
    """One that copies, where there is none."""
    found = zip(plan.stages, sample.stages, strict=True)
    return tuple(_stage(plan, place, stage, cost) for place, (stage, cost) in enumerate(found)) or (
        StageCost("copy", 0.0, 0.0, most=1),
    )


def _stage(plan: Plan, place: int, stage: PlannedStage, cost: Cost) -> StageCost:
    rate = stage.settings.rate
    records = cost.work / cost.each if cost.each else 0.0
    return StageCost(
        stage.name,
        cost.work,
        cost.cpu,
        stage.settings.workers,
        1 if stage.work.form.state else None,
        joins=place > 0 and _can_share(plan, plan.stages[place - 1], stage),
        pace=records / rate if rate else 0.0,
    )


def _can_share(plan: Plan, before: PlannedStage, stage: PlannedStage) -> bool:
    """Whether they could have the same workers, were it asked for and were there as many of them."""
    asked = replace(plan, run=replace(plan.run, fuse="auto"))
    return (
        why_apart(asked, *(replace(one, settings=replace(one.settings, workers=1)) for one in (before, stage))) is None
    )
