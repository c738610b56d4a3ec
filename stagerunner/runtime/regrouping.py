"""`run.fuse: auto`, in the parent: what is measured of fused stages, and the one time groups are chosen anew.

all that may share workers does ─▶ 200 ms of work ─▶ choose ─▶ the same groups: on it goes
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
"""Nanoseconds that a group of several stages has to have worked before anything is said of it."""

CHEAPEST = 500.0
"""Nanoseconds a record, at the least, at either end of a hop. (A hop of short texts takes 0.4 µs, one of dicts 1 to 2
µs; a source that reads lines takes far less, and is no measure for it.)"""


class Regrouping:
    """Chooses groups once; nothing at all in a chain in which no stages share workers."""

    def __init__(self, plan: Plan, transport: Transport, ledger: Ledger) -> None:
        self._plan = plan
        self._transport = transport
        self._ledger = ledger
        self._fused = tuple(group for group in transport.groups if len(group.stages) > 1)
        self._decided: tuple[Fusion, ...] | None = None
        self._next: tuple[Group, ...] = ()
        self.emptying = False
        """Nothing more of the source is sent before the next epoch has begun, with other groups."""
        self.end_sent = False
        """END is on its way, for that reason."""

    @property
    def open(self) -> bool:
        """Whether anything is still to be decided."""
        return bool(self._fused) and self._decided is None

    def due(self) -> bool:
        """Whether enough is known now, and other groups would be better. From then on the chain is to be emptied."""
        if not self.open:
            return False
        totals = totalled(self._transport.clocks(), len(self._plan.stages))
        if not self._ledger.taken or max(_worked(group, totals) for group in self._fused) < LEAST:
            return False
        groups, flow = self._transport.groups, self._ledger.entries
        sizes = choose([figure for group in groups for figure in measured(group, totals, flow)], self._transport.cores)
        self._next = grouped(self._plan, sizes)
        self._decided = self._told(self._next, totals)
        self.emptying = self._next != groups
        return self.emptying

    def take_effect(self) -> None:
        """The next epoch has the new groups; it begins when its workers are started."""
        if self.emptying:
            self.emptying = self.end_sent = False
            self._transport.regroup(self._next)

    def fusions(self) -> tuple[Fusion, ...]:
        """What became of the stages that could share their workers; so far, where nothing has been decided."""
        if not self.open:
            return self._decided or ()
        return self._told(self._transport.groups, totalled(self._transport.clocks(), len(self._plan.stages)))

    def _told(self, groups: tuple[Group, ...], totals: Sequence[Clock]) -> tuple[Fusion, ...]:
        return tuple(_fusion(fused, groups, totals) for fused in self._fused)


def totalled(clocks: Sequence[Clock], stages: int) -> list[Clock]:
    """The clocks of each stage, summed over its workers."""
    totals = [Clock(index, 0, 0, 0, 0) for index in range(stages)]
    for clock in clocks:
        before = totals[clock.stage]
        totals[clock.stage] = Clock(clock.stage, *(a + b for a, b in zip(before[1:], clock[1:], strict=True)))
    return totals


def measured(group: Group, totals: Sequence[Clock], flow: Mapping[int, Counts]) -> list[Measured]:
    """A group's stages as `choose` wants them: over the records that have come back, which the ledger know (`flow`).

    (The metrics know how long a record takes, but not how many there are: of the frame that is just being worked on
    the first stage may have had all and the last one none.) A hop between the stages isn't measured while they are
    one; what the group's own ends cost for a record, decoding the source and encoding for the sink included, stands
    for it.
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
    """Nanoseconds for a record at one end of a group: to come in, or to go out."""
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
