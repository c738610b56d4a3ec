"""Which neighbours share their workers: a cut between two stages costs a hop, and pays where cores are there for both.

A run begins with everything together that may be together. Then what was measured is put in: a group takes as long as
its stages work and its two ends decode and encode, divided by its workers; all groups together can't be faster than
the cores. The layout with the highest rate is chosen, and of those that are about as good the one with the fewest
processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stagerunner.tuples import NamedTuple

GAIN = 1.2
"""A layout has to be so many times as fast to be worth more processes: what is predicted is no more exact than that."""


class Measured(NamedTuple):
    """One stage, over some records of the source (the same for all stages): times in any one unit.

    work: of its transform. arriving: decoding what comes to it, leaving: encoding what it gives, where it is the first
    or the last of its group. workers: how many it has. joins: it may share them with the stage before.
    """

    work: float
    arriving: float
    leaving: float
    workers: int = 1
    joins: bool = True


class Layout(NamedTuple):
    """sizes: stages in each group. slowest: time of the slowest group. total: of all. processes: how many there are."""

    sizes: tuple[int, ...] = ()
    slowest: float = 0.0
    total: float = 0.0
    processes: int = 0

    def time(self, cores: int) -> float:
        """What the records take when the chain is full."""
        return max(self.slowest, self.total / cores)

    def and_group(self, group: Sequence[Measured]) -> Layout:
        """This layout with another group behind it."""
        spent = group[0].arriving + sum(stage.work for stage in group) + group[-1].leaving
        workers = group[0].workers
        slowest = max(self.slowest, spent / workers)
        return Layout((*self.sizes, len(group)), slowest, self.total + spent, self.processes + workers)

    def no_worse(self, other: Layout) -> bool:
        """Whether nothing speaks for the other one."""
        return self.slowest <= other.slowest and self.total <= other.total and self.processes <= other.processes


def choose(stages: Sequence[Measured], cores: int) -> tuple[int, ...]:
    """How many stages each group is to have, from the first to the last."""
    layouts = _layouts(stages)
    best = min(layout.time(cores) for layout in layouts)
    good = [layout for layout in layouts if layout.time(cores) <= best * GAIN]
    return min(good, key=lambda layout: (layout.processes, layout.time(cores))).sizes


def _layouts(stages: Sequence[Measured]) -> list[Layout]:
    """All layouts of the chain for which something speaks, grown stage by stage."""
    found = [[Layout()]]
    for end in range(1, len(stages) + 1):
        grown = [layout.and_group(stages[start:end]) for start in _starts(stages, end) for layout in found[start]]
        found.append(_undominated(grown))
    return found[-1]


def _starts(stages: Sequence[Measured], end: int) -> Iterator[int]:
    """Where a group that ends before the stage `end` may begin."""
    start = end - 1
    yield start
    while stages[start].joins and start > 0:
        start -= 1
        yield start


def _undominated(layouts: list[Layout]) -> list[Layout]:
    kept: list[Layout] = []
    for layout in sorted(layouts, key=lambda layout: layout[1:]):
        if not any(better.no_worse(layout) for better in kept):
            kept.append(layout)
    return kept
