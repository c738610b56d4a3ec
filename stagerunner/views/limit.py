"""Which stage is the limit, and what to change: one sentence from the clocks of a run."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from stagerunner.events import StageTotals
from stagerunner.views.figures import count, percent
from stagerunner.views.sharing import TOGETHER, merged

LEAST_SECONDS = 1.0
"""A shorter run is mostly start-up."""
BUSY = 0.7
"""A stage less busy than this is not the limit."""


class Load(Struct, frozen=True):
    """How busy a stage was, as a share of its workers' time, and the source records per second that it could do.

    Stages that share workers are one here.
    """

    stage: StageTotals
    busy: float
    capacity: float


def loads(stages: Sequence[StageTotals], seconds: float, taken: int) -> list[Load]:
    """The load of each stage, the busiest first. taken: source records in `seconds`."""
    stages = merged(stages)
    lived = _lived(stages, seconds)
    found = []
    for stage in stages:
        busy = min(1.0, (stage.work + stage.codec) / (lived * stage.workers)) if lived > 0 else 0.0
        found.append(Load(stage, busy, taken / lived / busy if busy else float("inf")))
    return sorted(found, key=lambda load: load.busy, reverse=True)


def _lived(stages: Sequence[StageTotals], seconds: float) -> float:
    """How long the workers' clocks ran: without start-up, if they count waiting."""
    if not any(stage.wait + stage.block for stage in stages):
        return seconds
    clocks = ((stage.work + stage.codec + stage.wait + stage.block) / stage.workers for stage in stages)
    return min(seconds, max(clocks))


def limit(
    stages: Sequence[StageTotals],
    seconds: float,
    taken: int,
    *,
    alone: Collection[str] = (),
    paced: Collection[str] = (),
    cpu: float = 0.0,
    cores: int | None = None,
) -> str:
    """ "limit: hide-people, 94 % busy on 4 workers; 8 workers ≈ 94 k/s, then parse"; "" if too little is known.

    alone: stages that can't have more than one worker. paced: those that have a rate. cpu: seconds of CPU time of all
    processes (the stages' clocks can't tell: to them a sleeping stage works, too). cores: their number, if known.
    """
    if seconds < LEAST_SECONDS or not taken or not stages:
        return ""
    first, *others = loads(stages, seconds, taken)
    if first.busy < BUSY:
        return f"limit: {_elsewhere(stages, first)}"
    workers = first.stage.workers
    on = f"on {workers} workers" if workers > 1 else "on 1 worker"
    names = first.stage.name.split(TOGETHER)
    if any(name in paced for name in names):
        return f"limit: {first.stage.name}, {percent(first.busy)} busy {on}, its `rate` waited for included"
    one_only = any(name in alone for name in names)
    advice = _advice(first, others, cpu / seconds, alone=one_only, cores=cores)
    return f"limit: {first.stage.name}, {percent(first.busy)} busy {on}; {advice}"


def _advice(first: Load, others: Sequence[Load], used: float, *, alone: bool, cores: int | None) -> str:
    stage = first.stage
    if stage.codec > stage.work:
        or_fused = "" if TOGETHER in stage.name else " or `run.fuse: auto`"
        return f"more than half of it encoding and decoding: a larger `run.frame`{or_fused} may help"
    if cores and used > 0.9 * cores:
        return f"all {cores} cores are busy" if cores > 1 else "the only core is busy"
    if alone:
        return "it has state, so more workers are not possible"
    doubled, next_one = 2 * first.capacity, others[0] if others else None
    if next_one is None or next_one.capacity >= 4 * doubled:
        return f"{2 * stage.workers} workers ≈ {count(doubled)}/s"
    reached = min(doubled, next_one.capacity)
    return f"{2 * stage.workers} workers ≈ {count(reached)}/s, then {next_one.stage.name}"


def _elsewhere(stages: Sequence[StageTotals], busiest: Load) -> str:
    """No stage is the limit: name the source or the sink, for which the stages wait."""
    first, last = stages[0], stages[-1]
    end = "the sink" if last.block / last.workers > first.wait / first.workers else "the source"
    return f"{end}; the busiest stage, {busiest.stage.name}, is busy {percent(busiest.busy)} of the time"
