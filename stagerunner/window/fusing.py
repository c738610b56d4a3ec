"""Which neighbours share their workers. A cut between two stages costs a hop, and pays if there are cores for both.

A run begins with all stages together that may be together. Then the layout is chosen from measurements. A group takes
the time of its stages plus decoding and encoding at its ends, divided by its workers; all groups together can't be
faster than the cores. The fastest layout wins; of those about as fast, the one with the fewest processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stagerunner.tuples import NamedTuple

GAIN = 1.2
"""A layout with more processes must be so many times as fast: predictions are not more exact."""


class Measured(NamedTuple):
    """One stage, over some source records, the same for all stages. Times are in any one unit.

    work: of its transform. arriving: decoding, if it is the first of its group. leaving: encoding, if it is the last.
    workers: how many it has. joins: it may share them with the stage before.
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
        """The time for the records when the chain is full."""
        return max(self.slowest, self.total / cores)

    def and_group(self, group: Sequence[Measured]) -> Layout:
        """This layout with one more group."""
        spent = group[0].arriving + sum(stage.work for stage in group) + group[-1].leaving
        workers = group[0].workers
        slowest = max(self.slowest, spent / workers)
        return Layout((*self.sizes, len(group)), slowest, self.total + spent, self.processes + workers)

    def no_worse(self, other: Layout) -> bool:
        """Whether the other layout is better in nothing."""
        return self.slowest <= other.slowest and self.total <= other.total and self.processes <= other.processes


def choose(stages: Sequence[Measured], cores: int) -> tuple[int, ...]:
    """How many stages each group should have, from the first to the last."""
    layouts = _layouts(stages)
    best = min(layout.time(cores) for layout in layouts)
    good = [layout for layout in layouts if layout.time(cores) <= best * GAIN]
    return min(good, key=lambda layout: (layout.processes, layout.time(cores))).sizes


def _layouts(stages: Sequence[Measured]) -> list[Layout]:
    """All layouts that are not worse than another in everything, built stage by stage."""
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
