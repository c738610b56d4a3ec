"""`run.fuse: auto` in the parent: measure fused stages, and choose their groups once.

all stages that may share workers do ─▶ 200 ms of work ─▶ choose ─▶ the same groups: go on
                                                             └────▶ others: BARRIER, END ─▶ the next epoch has them
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stagerunner.delivery.ledger import Ledger
from stagerunner.engines.base import Clock, Transport
from stagerunner.engines.topology import Group, grouped
from stagerunner.events import Fusion
from stagerunner.plan import Plan
from stagerunner.records import Counts
from stagerunner.window.fusing import Measured, choose

LEAST = 200_000_000
"""Nanoseconds that a fused group must have worked before its figures count."""

CHEAPEST = 500.0
"""Nanoseconds per record at each end of a hop, at least. (A hop takes 0.4 µs for short texts, 1 to 2 µs for dicts.
Reading lines takes far less and says nothing about hops.)"""


class Regrouping:
    """Chooses groups once. Does nothing in a chain in which no stages share workers."""

    def __init__(self, plan: Plan, transport: Transport, ledger: Ledger) -> None:
        self._plan = plan
        self._transport = transport
        self._ledger = ledger
        self._fused = tuple(group for group in transport.groups if len(group.stages) > 1)
        self._decided: tuple[Fusion, ...] | None = None
        self.open = bool(self._fused)
        """Whether groups are not chosen yet."""
        self._next: tuple[Group, ...] = ()
        self._first: dict[int, Clock] = {}
        """Of each worker and stage, the clock when its first call was over: that call may have loaded a model."""
        self.emptying = False
        """Other groups were chosen: no split is sent before the next epoch."""

    def due(self) -> bool:
        """Whether enough is measured and other groups are better. If so, the chain must be emptied."""
        if not self.open:
            return False
        totals = self._totals()
        if not self._ledger.taken or max(_worked(group, totals) for group in self._fused) < LEAST:
            return False
        groups, flow = self._transport.groups, self._ledger.entries
        sizes = choose([figure for group in groups for figure in measured(group, totals, flow)], self._transport.cores)
        self._next = grouped(self._plan, sizes)
        self._decided, self.open = self._fusions_of(self._next, totals), False
        self.emptying = [len(group.stages) for group in self._next] != [len(group.stages) for group in groups]
        return self.emptying

    def _totals(self) -> list[Clock]:
        """The clocks of each stage, without its workers' first calls."""
        clocks = self._transport.clocks()
        for place, clock in enumerate(clocks):
            if clock.taken:
                self._first.setdefault(place, clock)
        return totalled(
            [since(clock, self._first.get(place, clock)) for place, clock in enumerate(clocks)], len(self._plan.stages)
        )

    def take_effect(self) -> None:
        """Use the new groups in the next epoch, and begin measuring anew with its workers."""
        self._first.clear()
        if self.emptying:
            self.emptying = False
            self._transport.regroup(self._next)

    def fusions(self) -> tuple[Fusion, ...]:
        """The stages that could share workers, and how they do now."""
        if not self.open:
            return self._decided or ()
        return self._fusions_of(self._transport.groups, self._totals())

    def _fusions_of(self, groups: tuple[Group, ...], totals: Sequence[Clock]) -> tuple[Fusion, ...]:
        return tuple(_fusion(fused, groups, totals) for fused in self._fused)


def since(clock: Clock, then: Clock) -> Clock:
    """What has been added to a clock."""
    return Clock(clock.stage, *(now - before for now, before in zip(clock[1:], then[1:], strict=True)))


def totalled(clocks: Sequence[Clock], stages: int) -> list[Clock]:
    """The clocks of each stage, summed over its workers."""
    totals = [Clock(index, 0, 0, 0, 0) for index in range(stages)]
    for clock in clocks:
        before = totals[clock.stage]
        totals[clock.stage] = Clock(clock.stage, *(a + b for a, b in zip(before[1:], clock[1:], strict=True)))
    return totals


def measured(group: Group, totals: Sequence[Clock], flow: Mapping[int, Counts]) -> list[Measured]:
    """A group's stages as `choose` needs them, over the records that have come back, which the ledger counts (`flow`).

    (Metrics give the time per record only: of the frame in work the first stage may have seen all records and the last
    one none.) A hop between fused stages can't be measured. The cost of the group's own ends for a record, with
    decoding the source and encoding for the sink, stands for it.
    """
    clocks = [totals[stage.work.index] for stage in group.stages]
    first, last, end = clocks[0], clocks[-1], _end(clocks)
    inside = max(end, CHEAPEST)
    return [
        Measured(
            _per_record(clock) * flow[clock.stage].taken,
            (end if clock is first else inside) * flow[clock.stage].taken,
            (end if clock is last else inside) * flow[clock.stage].out,
            group.width,
            joins=clock is not first,
        )
        for clock in clocks
    ]


def _end(clocks: Sequence[Clock]) -> float:
    """Nanoseconds per record at one end of a group, to decode or to encode."""
    records = clocks[0].taken + clocks[-1].out
    return sum(clock.codec for clock in clocks) / records if records else 0.0


def _worked(group: Group, totals: Sequence[Clock]) -> int:
    return sum(totals[stage.work.index].work for stage in group.stages)


def _fusion(fused: Group, groups: tuple[Group, ...], totals: Sequence[Clock]) -> Fusion:
    parts = [group.stages for group in groups if group.stages[0] in fused.stages]
    clocks = [totals[stage.work.index] for stage in fused.stages]
    work = tuple(tuple(_per_record(totals[stage.work.index]) / 1e9 for stage in part) for part in parts)
    return Fusion(
        tuple(tuple(stage.name for stage in part) for part in parts), work, 2 * max(_end(clocks), CHEAPEST) / 1e9
    )


def _per_record(clock: Clock) -> float:
    return clock.work / clock.taken if clock.taken else 0.0
