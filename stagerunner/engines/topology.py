"""Groups of workers for a plan, and the pipes between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import lcm

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.config.variables import for_worker
from stagerunner.evaluate.loading import load
from stagerunner.evaluate.work import EndSpec, Work
from stagerunner.parts.source import is_stream
from stagerunner.plan import Plan, PlannedStage
from stagerunner.plan.devices import VISIBLE
from stagerunner.wire.spec import WorkerSpec


class Group(Struct, frozen=True):
    """Neighbouring stages that share their workers: one, unless they are fused. Without stages one worker copies."""

    stages: tuple[PlannedStage, ...]
    width: int

    @property
    def label(self) -> str:
        return "+".join(stage.name for stage in self.stages) or "copy"

    @property
    def executable(self) -> str:
        """The program of the Python that its workers run in; "" for ours."""
        return self.stages[0].executable if self.stages else ""


def groups_of(plan: Plan) -> tuple[Group, ...]:
    """One group for each stage."""
    return grouped(plan, [1] * len(plan.stages))


def grouped(plan: Plan, sizes: Sequence[int]) -> tuple[Group, ...]:
    """Groups of `sizes` neighbours each."""
    if not plan.stages:
        return (Group((), 1),)
    ends = list(itertools.accumulate(sizes))
    together = (plan.stages[end - size : end] for end, size in zip(ends, sizes, strict=True))
    return tuple(Group(stages, stages[0].settings.workers) for stages in together)


def with_works(groups: Sequence[Group], works: Mapping[int, Work]) -> tuple[Group, ...]:
    """The same groups, with other works for some stages. works: by index of the stage."""
    return tuple(
        replace(group, stages=tuple(replace(s, work=works.get(s.work.index, s.work)) for s in group.stages))
        for group in groups
    )


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
    owners: int = 0,
) -> Iterator[WorkerSpec]:
    """The spec of each worker, group by group. owners: of segments in the arena, 0 where there is no arena."""
    widths = [1, *(group.width for group in groups), 1]
    slot = 0
    for position, group in enumerate(groups):
        upstream, width, downstream = widths[position : position + 3]
        before, behind = linked(width, upstream), linked(width, downstream)
        slots = range(slot, slot + width * max(1, len(group.stages)))
        shared = _group_spec(plan, groups, position, snapshots)._replace(
            epoch=epoch,
            upstream=upstream,
            downstream=downstream,
            owners=owners,
            share=plan.run.window // max(1, sum(stage.settings.workers for stage in plan.stages if stage.works_ahead)),
        )
        for number in range(width):
            yield shared._replace(
                number=number,
                env=_environment(group, number),
                inbound=tuple(before[number]),
                outbound=tuple(behind[number]),
                slots=tuple(slots[number::width]),
            )
        slot = slots.stop


def _group_spec(plan: Plan, groups: tuple[Group, ...], position: int, snapshots: dict[int, object]) -> WorkerSpec:
    """What the workers of a group have in common; `specs` sets their numbers, pipes and slots."""
    group = groups[position]
    settings = [stage.settings for stage in group.stages]
    last = position == len(groups) - 1
    ends = [len(plan.stages) + number for number in range(len(plan.sinks) if last else 0)]
    expected = [*(stage.work.index for stage in group.stages), *ends]
    return WorkerSpec(
        epoch=0,
        number=0,
        width=group.width,
        names=tuple(stage.name for stage in group.stages),
        works=tuple(stage.work for stage in group.stages),
        inbound=(),
        outbound=(),
        upstream=1,
        downstream=1,
        slots=(),
        slot_count=slots_of(groups),
        places=places_of(plan),
        ends=len(plan.stages),
        owner=position + 1,
        first=position == 0,
        last=last,
        source=_source_end(plan) if position == 0 else None,
        sinks=_sink_ends(plan) if last else (),
        files=plan.files,
        mixed=any(stage.python is not None for stage in plan.stages),
        # Installed plugins bring them, and another Python may not have those.
        started_hooks=() if group.executable else plan.started_hooks,
        stopping_hooks=() if group.executable else plan.stopping_hooks,
        snapshots={index: snapshots[index] for index in expected if index in snapshots},
        max_memory=min((setting.max_memory for setting in settings if setting.max_memory), default=None),
        start_timeout=sum(setting.start_timeout for setting in settings) or 60.0,
        limit=(1 + max(1, len(plan.sinks))) * plan.run.max_growth + 2**26,
    )


def _environment(group: Group, number: int) -> tuple[tuple[str, str], ...]:
    """The variables of one worker: what its stages' `env` says, and its devices."""
    pairs = [(name, for_worker(text, number)) for stage in group.stages for name, text in stage.settings.env]
    for stage in group.stages:
        if own := stage.devices[number * stage.gpus :][: stage.gpus]:
            pairs.append((VISIBLE, ",".join(own)))
    return tuple(pairs)


def slots_of(groups: tuple[Group, ...]) -> int:
    """How many slots of the metrics page the workers need: one for each worker and stage, in this order."""
    return sum(group.width * max(1, len(group.stages)) for group in groups)


def places_of(plan: Plan) -> int:
    """How many calls a slot can note: as many as the stage with the most of them may run in one worker."""
    return max([stage.work.concurrency for stage in plan.stages if stage.work.form.awaited], default=1)


def _source_end(plan: Plan) -> EndSpec:
    source = plan.source
    if source is None:
        return EndSpec()
    if is_stream(load(source.part.target)):
        return EndSpec(on_error=source.settings.on_error)
    return EndSpec(source.part.target, source.options, source.settings.on_error, plan.run.max_record)


def _sink_ends(plan: Plan) -> tuple[EndSpec, ...]:
    return tuple(
        EndSpec(
            sink.part.target,
            sink.options,
            sink.settings.on_error,
            when=sink.settings.when,
            refuses=sink.refuses_records,
        )
        for sink in plan.sinks
    )
