"""Which stage is the limit, and what to change: one sentence from the clocks of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct

from stagerunner.events import StageTotals
from stagerunner.plan import Plan
from stagerunner.views.figures import percent, rate
from stagerunner.views.sharing import TOGETHER, merged

LEAST_SECONDS = 1.0
"""A shorter run is mostly start-up."""
BUSY = 0.7
"""A stage less busy than this is not the limit."""

EARLY = 0.8
"""A source that had ended after this share of the time is not the limit."""


PAUSED = 0.3
"""A stage that pauses for more than this share of the run is limited by the service that it asks."""

AT_RATE = 0.75
"""A stage that makes more than this share of the calls that its rate allows is held back by it: retries are calls too,
and start-up is in the time."""
COMPUTES = 0.7
"""A worker that uses more of a core than this computes. One that uses less waits for something."""


class StageFacts(Struct, frozen=True):
    """What the plan says of a stage and no clock does.

    state: it can't have more than one worker. rate: its calls a second; 0 for any number. concurrency: calls at once of
    an async stage; 0 for others. lists: it takes lists, of `batch` records; of a frame's, if that is 0.
    """

    state: bool = False
    rate: float = 0.0
    concurrency: int = 0
    lists: bool = False
    batch: int = 0


NOTHING_KNOWN = StageFacts()
NO_FACTS: Mapping[str, StageFacts] = MappingProxyType({})


def facts_of(plan: Plan) -> dict[str, StageFacts]:
    """What the plan says of its stages."""
    works = {stage.name: stage.work for stage in plan.stages}
    return {
        name: StageFacts(
            work.form.state,
            work.rate or 0.0,
            work.concurrency if work.form.awaited else 0,
            work.form.batch and not work.form.arrow,
            work.batch or 0,
        )
        for name, work in works.items()
    }


class Load(Struct, frozen=True):
    """How busy a stage was, as a share of its workers' time, and the source records per second that it could do.

    computing: the share of a core that each of its workers used; the rest of what it was busy, it waited. Stages that
    share workers are one here.
    """

    stage: StageTotals
    busy: float
    capacity: float
    computing: float = 0.0


def loads(stages: Sequence[StageTotals], seconds: float, taken: int) -> list[Load]:
    """The load of each stage, the busiest first. taken: source records in `seconds`."""
    stages = merged(stages)
    lived = _lived(stages, seconds)
    found = []
    for stage in stages:
        busy = min(1.0, (stage.work + stage.codec) / (lived * stage.workers)) if lived > 0 else 0.0
        computing = stage.cpu / (lived * stage.workers) if lived > 0 else 0.0
        found.append(Load(stage, busy, taken / lived / busy if busy else float("inf"), computing))
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
    facts: Mapping[str, StageFacts] = NO_FACTS,
    cpu: float = 0.0,
    cores: int | None = None,
    read: float | None = None,
) -> str:
    """ "limit: hide-people, 94 % busy on 4 workers; 8 workers ≈ 94 k/s, then parse"; "" if too little is known.

    seconds: without start-up. facts: of stages, by name. cpu: seconds of CPU time of all processes. cores: their
    number, if known. read: after how many of the seconds the source had ended, if it had.
    """
    if seconds < LEAST_SECONDS or not taken or not stages:
        return ""
    first, *others = loads(stages, seconds, taken)
    at_rate = [one.name for one in stages if _at_its_rate(one, facts.get(one.name, NOTHING_KNOWN), seconds)]
    if first.busy < BUSY:
        ended = read is not None and read < EARLY * seconds
        return f"limit: {at_rate[0]}, at its `rate`" if at_rate else f"limit: {_elsewhere(stages, first, ended=ended)}"
    workers = first.stage.workers
    on = f"on {workers} workers" if workers > 1 else "on 1 worker"
    names = first.stage.name.split(TOGETHER)
    named = [facts.get(name, NOTHING_KNOWN) for name in names]
    paced = any(fact.rate for fact in named)
    if first.stage.paused > PAUSED * seconds:
        share = percent(first.stage.paused / seconds)
        slower = "a lower `rate`" if paced else "a `rate`"
        return f"limit: {first.stage.name}, whose service made it wait {share} of the time; {slower} asks it less often"
    if any(name in names for name in at_rate):
        return f"limit: {first.stage.name}, {percent(first.busy)} busy {on}, its `rate` waited for included"
    used = cpu / seconds
    most = _Most(others[0] if others else None, cores, taken * cores / cpu if cores and cpu else float("inf"))
    if first.stage.codec > first.stage.work:
        or_fused = "" if TOGETHER in first.stage.name else " or `run.fuse: auto`"
        advice = f"more than half of it encoding and decoding: a larger `run.frame`{or_fused} may help"
    elif cores and used > 0.9 * cores:
        advice = most.cores_busy
    else:
        advice = _advice(first, named, most)
    return f"limit: {first.stage.name}, {percent(first.busy)} busy {on}; {advice}"


def _at_its_rate(stage: StageTotals, fact: StageFacts, seconds: float) -> bool:
    """Whether it made about as many calls as its rate allows."""
    calls = (stage.taken - stage.hits) / (fact.batch or 1)
    return 0 < AT_RATE * fact.rate * seconds < calls


class _Most(Struct, frozen=True):
    """What bounds a stage that gets more done. next: the stage that is the next limit.

    rate: source records per second with every core busy.
    """

    next: Load | None
    cores: int | None
    rate: float

    @property
    def cores_busy(self) -> str:
        return f"all {self.cores} cores are busy" if self.cores != 1 else "the only core is busy"

    def promise(self, change: str, first: Load, factor: float) -> str:
        """ "8 workers ≈ 94 k/s, then parse": for a change that lets the first stage do `factor` times as much."""
        wanted = factor * first.capacity
        next_one = self.next.capacity if self.next is not None else float("inf")
        reached = min(wanted, next_one, self.rate)
        if reached < 1.1 * first.capacity and reached == self.rate:
            return self.cores_busy
        then = ""
        if reached == self.rate < wanted:
            then = ", then the cores"
        elif self.next is not None and next_one < 4 * wanted:
            then = f", then {self.next.stage.name}"
        return f"{change} ≈ {rate(reached)}{then}"


def _advice(first: Load, named: Sequence[StageFacts], most: _Most) -> str:
    """What to change. named: what is known of the stages that share the workers."""
    if any(fact.state for fact in named):
        return "it has state, so more workers are not possible"
    workers = f"{2 * first.stage.workers} workers"
    if len(named) == 1 and named[0].concurrency and first.computing < COMPUTES:
        factor = min(2.0, 1 / first.computing if first.computing else 2.0)
        return most.promise(f"`concurrency: {2 * named[0].concurrency}`", first, factor)
    promised = most.promise(workers, first, 2.0)
    if len(named) == 1 and named[0].lists:
        size = named[0].batch
        larger = f"a `batch` of more than {size}" if size else "a `batch`, which gathers the records of several frames,"
        return f"{larger} may help, or {promised}" if promised.startswith(workers) else f"{larger} may help"
    return promised


def _elsewhere(stages: Sequence[StageTotals], busiest: Load, *, ended: bool) -> str:
    """No stage is busy throughout: name the source or the sink, for which the stages wait; or the stage of which some
    workers, or places for calls, had nothing to do while others still worked. ended: the source had ended early."""
    stage = busiest.stage
    worked, waited = stage.work + stage.codec, stage.wait + stage.block
    if stage.workers > 1 and any(one.wait + one.block for one in stages) and worked > BUSY * (worked + waited):
        return f"{stage.name}; towards the end some of its {stage.workers} workers had no records left"
    first, last = stages[0], stages[-1]
    end = "the sink" if last.block / last.workers > first.wait / first.workers else "the source"
    # The table shows the share of the stage's own time, which may begin later than that of others.
    busy = worked / (worked + waited) if worked < BUSY * (worked + waited) else busiest.busy
    if ended and end == "the source":
        return f"{stage.name}, busy {percent(busy)} of the time; when the source had ended, the last records took long"
    return f"{end}; the busiest stage, {busiest.stage.name}, is busy {percent(busy)} of the time"
