"""Poison records: from a death to the one record that causes it, or to the finding that none does.

    a death in a frame ─▶ the frame is sent again, marked ─▶ a death at record r ─▶ r goes alone ─▶ twice dead alone
    ─▶ quarantined: its stage writes the failure instead of calling

If the death falls outside any call (unpickling, memory), there is no r. The frame is halved until one record is left,
or until both halves pass: then it was memory, nothing is quarantined, and frames stay smaller.
A missed deadline is treated like a death. A record whose worker was killed from outside passes when it is alone.
"""

from __future__ import annotations

from msgspec import Struct, field

from stagerunner.records import TO_THE_END

STRIKES = 2
"""Deaths alone after which a record is quarantined: a single one may come from outside."""

MOST_RESTARTS = 10
"""Restarts in a row after which the run ends, if no record was accepted and no suspect split narrowed."""

TARDY = 4
"""What a restart counts if the worker exceeded a deadline without a frame, as in setup. Three such restarts are enough:
each takes the whole time limit (60 s by default)."""


class Culprit(Struct, frozen=True):
    """What is known of a death. stage: index of a stage, the source or the sink. split: -1 if the worker was idle.

    first, last: the source records of its frame. origin, ordinal: the record in the call, -1 if none was noted.
    type, message: the failure, if the record is quarantined. tardy: the worker was over its deadline, and idle.
    """

    stage: int = -1
    split: int = -1
    first: int = 0
    last: int = 0
    origin: int = -1
    ordinal: int = -1
    type: str = "Killed"
    message: str = ""
    tardy: bool = False


class Inspection(Struct):
    """How a suspect split is sent again: cut before these records, every frame of it marked."""

    cuts: set[int] = field(default_factory=set)

    def alone(self, record: int) -> None:
        self.cuts |= {record, record + 1}


class Quarantine(Struct, frozen=True):
    """A quarantined record of a split, (stage, source record, ordinal), and its failure.

    The ordinal is WHOLE if the death fell outside any call: nothing that comes of the source record is even decoded.
    """

    split: int
    record: tuple[int, int, int]
    type: str
    message: str


class PoisonIsolation:
    """Finds poison records from the deaths since the last progress."""

    def __init__(self) -> None:
        self.inspections: dict[int, Inspection] = {}
        self.restarts = 0
        self._strikes: dict[tuple[int, int, int, int], int] = {}
        """(split, stage, source record, ordinal) → deaths with it alone."""
        self._fruitless = 0

    @property
    def hopeless(self) -> bool:
        """Too many restarts in a row brought no progress."""
        return self._fruitless >= MOST_RESTARTS

    def died(self, culprit: Culprit) -> Quarantine | None:
        """Record a death. Gives a quarantine if the record is found."""
        self.restarts += 1
        self._fruitless += TARDY if culprit.tardy else 1
        if culprit.split < 0:
            return None
        if culprit.last - culprit.first == 1:
            return self._died_alone(culprit)
        if self._narrow(culprit):
            self._fruitless = 0
        return None

    def _died_alone(self, culprit: Culprit) -> Quarantine | None:
        """Count a strike, if the frame was marked and held this record alone on purpose."""
        inspection = self.inspections.setdefault(culprit.split, Inspection())
        record = max(culprit.origin, culprit.first)
        if not {record, record + 1} <= inspection.cuts:
            inspection.alone(record)
            self._fruitless = 0
            return None
        key = (culprit.split, culprit.stage, record, culprit.ordinal)
        strikes = self._strikes[key] = self._strikes.get(key, 0) + 1
        if strikes > STRIKES:
            return None  # quarantined already, and it still kills: no progress
        self._fruitless = 0
        if strikes < STRIKES:
            return None
        return Quarantine(culprit.split, (culprit.stage, record, culprit.ordinal), culprit.type, culprit.message)

    def _narrow(self, culprit: Culprit) -> bool:
        """Narrow the split down: mark it, then cut the record out or halve the frame. Whether that changed anything."""
        inspection = self.inspections.get(culprit.split)
        if culprit.origin >= 0:
            inspection = self.inspections.setdefault(culprit.split, Inspection())
            before = set(inspection.cuts)
            inspection.alone(culprit.origin)
            return inspection.cuts != before
        if inspection is None:
            self.inspections[culprit.split] = Inspection()
            return True
        if culprit.last >= TO_THE_END:
            return False  # the number of records to halve is unknown
        middle = (culprit.first + culprit.last) // 2
        if middle in inspection.cuts:
            return False
        inspection.cuts.add(middle)
        return True

    def accepted(self, split: int, *, finished: bool) -> bool:
        """Something new was accepted. True if it ends an inspection that cut frames and quarantined nothing."""
        self._fruitless = 0
        if not finished or split not in self.inspections:
            return False
        inspection = self.inspections.pop(split)
        self._strikes = {key: n for key, n in self._strikes.items() if key[0] != split}
        return bool(inspection.cuts)
