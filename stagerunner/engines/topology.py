"""How a plan becomes groups of workers, and which pipes there are between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from math import lcm

from msgspec import Struct

from stagerunner.evaluate.ends import End
from stagerunner.evaluate.loading import load
from stagerunner.parts.source import is_stream
from stagerunner.plan import Plan, PlannedStage
from stagerunner.wire.spec import WorkerSpec


class Group(Struct, frozen=True):
    """Neighbouring stages that share their workers; one stage, unless they were fused. None: one worker copies."""

    stages: tuple[PlannedStage, ...]
    width: int

    @property
    def label(self) -> str:
        return "+".join(stage.name for stage in self.stages) or "copy"


def groups_of(plan: Plan) -> tuple[Group, ...]:
    """One group a stage."""
    return grouped(plan, [1] * len(plan.stages))


def grouped(plan: Plan, sizes: Sequence[int]) -> tuple[Group, ...]:
    """Groups of so many neighbours each."""
    if not plan.stages:
        return (Group((), 1),)
    ends = list(itertools.accumulate(sizes))
    together = (plan.stages[end - size : end] for end, size in zip(ends, sizes, strict=True))
    return tuple(Group(stages, stages[0].settings.workers) for stages in together)


def pairs(upstream: int, downstream: int) -> list[tuple[int, int]]:
    """The pipes that can occur when frame s goes from worker s mod N to worker s mod M: lcm(N, M) of them."""
    return [(s % upstream, s % downstream) for s in range(lcm(upstream, downstream))]


def linked(width: int, others: int) -> list[list[int]]:
    """The neighbours of each worker, in the order of `pairs`."""
    found: list[list[int]] = [[] for _ in range(width)]
    for worker, other in pairs(width, others):
        found[worker].append(other)
    return found


def specs(
    plan: Plan,
    groups: tuple[Group, ...],
    epoch: int,
    snapshots: dict[int, object],
    *,
    careful: bool = False,
    owners: int = 0,
) -> Iterator[WorkerSpec]:
    """What each worker is told, group by group. owners: of slots in the arena, 0 where there is none."""
    widths = [1, *(group.width for group in groups), 1]
    slot = 0
    slot_count = slots_of(groups)
    for position, group in enumerate(groups):
        upstream, width, downstream = widths[position : position + 3]
        before, behind = linked(width, upstream), linked(width, downstream)
        for number in range(width):
            count = max(1, len(group.stages))
            yield WorkerSpec(
                epoch=epoch,
                number=number,
                width=width,
                names=tuple(stage.name for stage in group.stages),
                works=tuple(stage.work for stage in group.stages),
                inbound=tuple(before[number]),
                outbound=tuple(behind[number]),
                upstream=upstream,
                downstream=downstream,
                slots=tuple(slot + number + at * width for at in range(count)),
                slot_count=slot_count,
                ends=len(plan.stages),
                owner=position + 1,
                owners=owners,
                first=position == 0,
                last=position == len(groups) - 1,
                source=_source_end(plan) if position == 0 else None,
                sink=_sink_end(plan) if position == len(groups) - 1 else None,
                env=tuple(pair for stage in group.stages for pair in stage.settings.env),
                files=plan.files,
                started_hooks=plan.started_hooks,
                stopping_hooks=plan.stopping_hooks,
                snapshots=_theirs(snapshots, group, len(plan.stages) if position == len(groups) - 1 else None),
                watch=careful,
                max_memory=min((s.settings.max_memory for s in group.stages if s.settings.max_memory), default=None),
                start_timeout=sum(stage.settings.start_timeout for stage in group.stages) or 60.0,
                limit=2 * plan.run.max_growth + 2**26,
            )
        slot += width * max(1, len(group.stages))


def _theirs(snapshots: dict[int, object], group: Group, sink: int | None) -> dict[int, object]:
    """What a group's workers are handed back; under the sink's number, what their sink is to expect."""
    wanted = [*(stage.work.index for stage in group.stages), sink]
    return {index: snapshots[index] for index in wanted if index is not None and index in snapshots}


def slots_of(groups: tuple[Group, ...]) -> int:
    """How many meter slots the workers need: one per worker and stage, in this order however stages are grouped."""
    return sum(group.width * max(1, len(group.stages)) for group in groups)


def _source_end(plan: Plan) -> End:
    source = plan.source
    if source is None:
        return End()
    if is_stream(load(source.part.target)):
        return End(on_error=source.settings.on_error)
    return End(source.part.target, source.options, source.settings.on_error, plan.run.max_record)


def _sink_end(plan: Plan) -> End | None:
    sink = plan.sink
    return None if sink is None else End(sink.part.target, sink.options, sink.settings.on_error)
