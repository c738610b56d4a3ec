"""What a simulated worker knows of a frame while it passes: its slot on the metrics page, counts and cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulator.pipes import SimFrame

from stagerunner.records import Counts, Failure, Spread
from stagerunner.wire.frame import Header

Pairs = list[tuple[int, int]]
"""(source record, value) of each record."""


@dataclass(slots=True)
class SimSlot:
    """What a worker noted of the frame it is at work on, to be read after its death."""

    holding: bool = False
    marked: bool = False
    split: int = 0
    first: int = 0
    last: int = 0
    origin: int = -1
    ordinal: int = -1

    def hold(self, header: Header, first: int, last: int) -> None:
        self.holding, self.marked, self.split = True, header.marked, header.split
        self.first, self.last, self.origin = first, last, -1


@dataclass(slots=True)
class SimStop:
    """What the metrics page has: after which frame of this epoch to stop early, which stage said so, and a halt; and
    after which frame nothing can be sent for now."""

    sequence: int = -1
    stage: int = -1
    halted: bool = False
    all_sent: int = -1


@dataclass(slots=True)
class SimPiece:
    pairs: Pairs
    first: int
    last: int
    failures: list[Failure] = field(default_factory=list)
    noted: list[tuple[int, int]] = field(default_factory=list)
    """(source record, results) of each call that was made."""
    final: bool = False
    """Nothing of its frame follows."""


class SimFrameContext:
    """One frame on its way through a stage, with all its pieces."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.tally: dict[int, Counts] = {}
        self.spreads: list[tuple[int, Spread]] = []
        self.quarantined: dict[Any, tuple[str, str]] = {}
        self.cut = False
        self.stop = -1
        self.stop_here = False
        self.halted = False
        self.pieces = 0
        self.reached = header.first

    def take(self, frame: SimFrame) -> None:
        for counts in frame.counts:
            self.count(counts.stage).add(counts)
        self.spreads += frame.spreads
        self.quarantined = frame.quarantined
        self.stop = max(self.stop, frame.stop)

    def count(self, stage: int) -> Counts:
        found = self.tally.get(stage)
        if found is None:
            found = self.tally[stage] = Counts(stage)
        return found
