"""Stages that share workers: their clocks are parts of the time of the same workers, so they are shown as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from stagerunner.events import Fusion, StageTotals
from stagerunner.views.figures import plural, short_time

TOGETHER = " + "
"""Separates the names of stages that share workers; no name contains it."""


def groups_of(stages: Sequence[StageTotals]) -> list[list[int]]:
    """The indices of stages that share workers, group by group."""
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for place, stage in enumerate(stages):
        groups[stage.group or -1 - place].append(place)
    return list(groups.values())


def group_totals(stages: Sequence[StageTotals], values: Sequence[float]) -> list[float]:
    """For each stage the sum of `values` over its group. values: one for each stage."""
    found = [0.0] * len(stages)
    for group in groups_of(stages):
        for place in group:
            found[place] = sum(values[other] for other in group)
    return found


def merged(stages: Sequence[StageTotals]) -> list[StageTotals]:
    """Each group as one stage, with the names of all."""
    return [_merged([stages[place] for place in group]) for group in groups_of(stages)]


def _merged(stages: Sequence[StageTotals]) -> StageTotals:
    first, last = stages[0], stages[-1]
    return replace(
        first,
        name=TOGETHER.join(stage.name for stage in stages),
        out=last.out,
        work=sum(stage.work for stage in stages),
        codec=sum(stage.codec for stage in stages),
        wait=sum(stage.wait for stage in stages),
        block=sum(stage.block for stage in stages),
        cpu=sum(stage.cpu for stage in stages),
        paused=max(stage.paused for stage in stages),
    )


def fusion_lines(fusions: Sequence[Fusion], stages: Sequence[StageTotals]) -> Iterator[str]:
    """ "text-strip + parse share a worker: 400 ns and 1.10 µs a record, a hop costs 1.00 µs"."""
    workers = {stage.name: stage.workers for stage in stages}
    for fusion in fusions:
        names = [TOGETHER.join(part) for part in fusion.parts]
        if len(names) > 1:
            outcome = f"{_listed(names)} have workers of their own"
            figures = [TOGETHER.join(map(short_time, part)) for part in fusion.work]
        else:
            count = workers.get(fusion.parts[0][0], 1)
            outcome = f"{names[0]} share {'a worker' if count == 1 else plural(count, 'worker')}"
            figures = list(map(short_time, fusion.work[0]))
        yield outcome + (
            f": {_listed(figures)} a record, a hop costs {short_time(fusion.hop)}" if _known(fusion) else ""
        )


def _known(fusion: Fusion) -> bool:
    """Whether anything was measured."""
    return any(any(part) for part in fusion.work)


def _listed(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
