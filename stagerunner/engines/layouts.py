"""Which stages should share workers, and how many workers there should be: the layout with the highest predicted rate.

Of layouts that are about as good the one with the fewest processes is chosen. For a given time per source record the
workers that each group needs follow at once, so the search is one for the shortest time that can be kept to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

from stagerunner.engines.prediction import Load
from stagerunner.tuples import NamedTuple
from stagerunner.window.fusing import Measured, choose

SLACK = 1.05
"""A process more has to be worth so much, or the stage does without it."""

MOST_WORKERS = 32
"""Of one group. Who waits for more than these is better off async."""

HALVINGS = 60

Groups = tuple[tuple[int, int], ...]
"""(stages, workers) of each group, from the first to the last."""


def as_written(load: Load, cores: int, *, fuse: bool) -> Groups:
    """The layout with the workers that the stages have. fuse: in the groups that a run would choose."""
    stages = load.stages
    sizes = choose(_measured(load), cores) if fuse else (1,) * len(stages)
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    return tuple((size, stages[start].workers) for start, size in zip(starts, sizes, strict=True))


def _measured(load: Load) -> list[Measured]:
    widths = [0, *(stage.workers for stage in load.stages)]
    return [
        Measured(
            stage.service,
            load.hops[place].decode,
            load.hops[place + 1].encode,
            stage.workers,
            joins=stage.joins and widths[place] == stage.workers,
        )
        for place, stage in enumerate(load.stages)
    ]


class Draft(NamedTuple):
    """The groups of the first stages of a chain. used: what they take up of a core for each source record."""

    groups: Groups = ()
    processes: int = 0
    used: float = 0.0

    def with_group(self, size: int, workers: int, used: float) -> Draft:
        return Draft((*self.groups, (size, workers)), self.processes + workers, self.used + used)


Price = Callable[[Draft], tuple[float, float]]


def _small(draft: Draft) -> tuple[float, float]:
    return draft.processes, draft.used


def _frugal(draft: Draft) -> tuple[float, float]:
    return draft.used, draft.processes


def suggested(load: Load, cores: int) -> Groups:
    """The best layout there is, with any number of workers for the stages that can have more than one."""
    within = _shortest(load, cores) * SLACK
    draft = _draft(load, within, _small)
    if draft is None or not _fits(load, draft, within, cores):
        draft = _draft(load, within, _frugal)
    assert draft is not None
    return draft.groups


def _shortest(load: Load, cores: int) -> float:
    """The shortest time per source record that some layout keeps to."""
    low, high = load.floor, _long(load)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        draft = _draft(load, middle, _frugal)
        if draft is not None and _fits(load, draft, middle, cores):
            high = middle
        else:
            low = middle
    return high


def _long(load: Load) -> float:
    """A time that can be kept to: one thing after the other, each stage in a worker of its own."""
    apart = range(len(load.stages))
    return load.floor + load.beside + sum(max(load.spent(n, n + 1), load.used(n, n + 1)) for n in apart)


def _fits(load: Load, draft: Draft, period: float, cores: int) -> bool:
    """Whether the cores can do it in that time."""
    return draft.used + load.beside <= period * cores


def _draft(load: Load, period: float, price: Price) -> Draft | None:
    """The cheapest layout whose groups keep to the time, grown stage by stage; None where there is none."""
    found: list[Draft | None] = [Draft()]
    for end in range(1, len(load.stages) + 1):
        found.append(min(_grown(load, end, period, found), key=price, default=None))
    return found[-1]


def _grown(load: Load, end: int, period: float, found: list[Draft | None]) -> Iterator[Draft]:
    for start in _starts(load, end):
        workers, before = _workers(load, start, end, period), found[start]
        if workers is not None and before is not None:
            yield before.with_group(end - start, workers, load.used(start, end))


def _workers(load: Load, start: int, end: int, period: float) -> int | None:
    """How many a group needs to keep to the time; None where it can't have so many."""
    most = min(stage.most or MOST_WORKERS for stage in load.stages[start:end])
    # Less than a billionth over is rounding, not work for another process.
    needed = max(1, ceil(load.spent(start, end) / period - 1e-9)) if period else 1
    return needed if needed <= most else None


def _starts(load: Load, end: int) -> Iterator[int]:
    """Where a group that ends before the stage `end` may begin."""
    start = end - 1
    yield start
    while start and load.stages[start].joins:
        start -= 1
        yield start
