"""What a simulated worker holds while a frame passes: what it could leave behind, and the frame's books and cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulator.pipes import Parcel

from stagerunner.records import Counts, Failure
from stagerunner.wire.frame import Header

Pairs = list[tuple[int, int]]
"""(source record, value) of each record."""


@dataclass(slots=True)
class Slot:
    """What a dead worker leaves behind: what it had in hand."""

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
class Stop:
    """The page's words about the early stop: after which frame of this epoch, and which stage said so."""

    sequence: int = -1
    stage: int = -1


@dataclass(slots=True)
class Piece:
    pairs: Pairs
    first: int
    last: int
    failures: list[Failure] = field(default_factory=list)


class SimFrame:
    """One frame on its way through the stage, over all its pieces."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.tally: dict[int, Counts] = {}
        self.quarantined: dict[Any, tuple[str, str]] = {}
        self.cut = False
        self.stop = -1
        self.stop_here = False
        self.pieces = 0
        self.reached = header.first

    def take(self, parcel: Parcel) -> None:
        for counts in parcel.counts:
            self.count(counts.stage).add(counts)
        self.quarantined = parcel.quarantined
        self.stop = max(self.stop, parcel.stop)

    def count(self, stage: int) -> Counts:
        found = self.tally.get(stage)
        if found is None:
            found = self.tally[stage] = Counts(stage)
        return found

    def behind(self, failures: list[Failure]) -> None:
        """Failures behind the cut: nobody is told of them, and their records are not processed."""
        for failure in failures:
            counts = self.count(failure.stage)
            counts.fail(failure.policy, -1)
            counts.not_processed += 1
