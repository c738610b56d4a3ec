"""Poison records: from a death to the one record that causes it, or to the finding that none does.

    a death in a frame ─▶ the frame is sent again, marked ─▶ a death at record r ─▶ r goes alone ─▶ twice dead alone
    ─▶ quarantined: its stage writes the failure instead of calling

Where the death falls outside any call (unpickling, memory), there is no r: the frame is halved until one record is
left, or until both halves pass: then it was memory, nobody is quarantined, and frames stay smaller.
A death and a missed deadline are the same here. An innocent record that was at work when somebody killed its worker
passes when it is alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from stagerunner.records import TO_THE_END

STRIKES = 2
"""Deaths alone after which a record is quarantined: one might be an outsider's doing."""

MOST_RESTARTS = 10
"""Restarts in a row, without a record accepted or a suspect narrowed, after which the run ends."""

TARDY = 4
"""Restarts that one counts for whose worker was over its time with no frame in hand, as in setup: three are enough, for
each takes as long as the limit is (60 s by default)."""


class Culprit(Struct, frozen=True):
    """What a death left behind. stage: index of a stage, the source or the sink. split: -1 when it was idle.

    first, last: the source records of the frame it had. origin, ordinal: the record it was at, -1 when none was marked.
    type, message: the failure, should it come to a quarantine. tardy: it was over its time, and idle.
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
    """How a suspected split is sent again: cut before these records, every frame of it marked."""

    cuts: set[int] = field(default_factory=set)

    def alone(self, record: int) -> None:
        self.cuts |= {record, record + 1}


class Quarantine(Struct, frozen=True):
    """A quarantine: (stage, source record, ordinal) of a split, and its failure.

    The ordinal is WHOLE where the death fell outside any call: whatever became of that source record is not even to
    be decoded.
    """

    split: int
    record: tuple[int, int, int]
    type: str
    message: str


class PoisonIsolation:
    """What is known of the deaths since the last progress."""

    def __init__(self) -> None:
        self.inspections: dict[int, Inspection] = {}
        self.restarts = 0
        self._strikes: dict[tuple[int, int, int, int], int] = {}
        """(split, stage, source record, ordinal) → deaths with it alone."""
        self._fruitless = 0

    @property
    def hopeless(self) -> bool:
        """Too many restarts in a row came to nothing."""
        return self._fruitless >= MOST_RESTARTS

    def died(self, culprit: Culprit) -> Quarantine | None:
        """Take a death in; a quarantine if there now is one."""
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
        """Only what died while its frame was marked and cut out for it counts."""
        inspection = self.inspections.setdefault(culprit.split, Inspection())
        record = max(culprit.origin, culprit.first)
        if not {record, record + 1} <= inspection.cuts:
            inspection.alone(record)
            self._fruitless = 0
            return None
        key = (culprit.split, culprit.stage, record, culprit.ordinal)
        strikes = self._strikes[key] = self._strikes.get(key, 0) + 1
        if strikes > STRIKES:
            return None  # quarantined already, and it still kills: more of the same is no progress
        self._fruitless = 0
        if strikes < STRIKES:
            return None
        return Quarantine(culprit.split, (culprit.stage, record, culprit.ordinal), culprit.type, culprit.message)

    def _narrow(self, culprit: Culprit) -> bool:
        """One look closer at the split: mark it, then single the record out, or halve the frame."""
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
            return False  # nobody knows how much there is to halve
        middle = (culprit.first + culprit.last) // 2
        if middle in inspection.cuts:
            return False
        inspection.cuts.add(middle)
        return True

    def accepted(self, split: int, *, finished: bool) -> bool:
        """Something new was accepted. True if this ends an inspection in which frames were cut and nobody
        quarantined."""
        self._fruitless = 0
        if not finished or split not in self.inspections:
            return False
        inspection = self.inspections.pop(split)
        self._strikes = {key: n for key, n in self._strikes.items() if key[0] != split}
        return bool(inspection.cuts)

    def cuts(self) -> Mapping[int, Inspection]:
        """Split → how it is to be sent again."""
        return self.inspections
