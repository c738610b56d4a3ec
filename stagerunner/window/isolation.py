"""Poison records: from a death to the one record that causes it, or to the finding that none does.

    a death in a frame ─▶ the frame is sent again, marked ─▶ a death at record r ─▶ r goes alone ─▶ twice dead alone
    ─▶ quarantined: its stage writes the failure instead of calling

If several records were in calls, all of them are suspects. (Unless the signal may have come from outside: then they are
sent again as they were, once.) Each is sent marked, so that it is called alone. If all of them pass, it was memory or
the batch: nothing is quarantined, and the stage gets less at once.

If the death falls outside any call (unpickling, memory), there is no r. The frame is halved until one record is left,
or until both halves pass: then it was memory, nothing is quarantined, and frames stay smaller.
A missed deadline is treated like a death. A record whose worker was killed from outside passes when it is alone.

Only frames of suspects are marked. An inspection ends once its split is accepted.
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


class Suspect(Struct, frozen=True):
    """Source records first ≤ i < last of a split, all in one call."""

    split: int
    first: int
    last: int

    def overlaps(self, other: Suspect) -> bool:
        return self.split == other.split and self.first < other.last and other.first < self.last


class Culprit(Struct, frozen=True):
    """What is known of a death. stage: index of a stage, the source or the sink. split: -1 if the worker was idle.

    first, last: the source records of its frame. origin, ordinal: the record in the call, -1 if none was noted.
    calls: the records that were in calls, if there was more than one. outside: the signal may have come from outside.
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
    calls: tuple[Suspect, ...] = ()
    outside: bool = False


class Excess(Struct, frozen=True):
    """Nothing is wrong with any record: it was too much at once. stage: whose calls died, and passed one by one; or -1
    and `records`: how many a frame may hold that nothing dies of."""

    stage: int = -1
    records: int = 0


class Inspection(Struct):
    """How the suspects of a split are sent again: cut before these records, and the frames of the suspects marked.

    halved: records of the smallest frame that was halved; 0 if none was, or if a record was named since.
    """

    cuts: set[int] = field(default_factory=set)
    suspects: set[tuple[int, int]] = field(default_factory=set)
    halved: int = 0

    def marks(self, first: int, last: int) -> bool:
        """Whether source records first ≤ i < last are suspected, or some of them."""
        return any(begin < last and first < end for begin, end in self.suspects)

    def isolates(self, record: int) -> bool:
        """Whether this record is sent alone, and marked."""
        return {record, record + 1} <= self.cuts and self.marks(record, record + 1)

    def suspect(self, first: int, last: int) -> None:
        self.cuts |= {first, last}
        self.suspects.add((first, last))

    def alone(self, record: int) -> None:
        """This record is named: nothing beside it is suspected any more."""
        self.suspects = {(first, last) for first, last in self.suspects if not first <= record < last}
        self.suspect(record, record + 1)
        self.halved = 0

    def halve(self, first: int, last: int) -> bool:
        """Send a marked frame in halves. Whether it could be cut."""
        middle = (first + last) // 2
        if last >= TO_THE_END or middle in self.cuts or middle == first:
            return False  # in the first case the number of records is unknown
        self.cuts.add(middle)
        self.halved = min(self.halved or last, last - first)
        return True


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
        self._together: dict[int, tuple[Suspect, ...]] = {}
        """Stage → what was in its calls when it was last killed by what may have come from outside."""
        self._passing: dict[int, set[int]] = {}
        """Stage → the splits of its suspects. If all pass, none of them was the cause."""
        self._relieved: set[int] = set()
        """Stages that get less at once from the next epoch on."""
        self._fruitless = 0

    @property
    def hopeless(self) -> bool:
        """Too many restarts in a row brought no progress."""
        return self._fruitless >= MOST_RESTARTS

    def died(self, culprit: Culprit) -> Quarantine | None:
        """Record a death. Gives a quarantine if the record is found."""
        self.restarts += 1
        self._fruitless += TARDY if culprit.tardy else 1
        relieved, self._relieved = self._relieved, set()
        if culprit.calls:
            if culprit.stage not in relieved and self._died_in_calls(culprit):
                self._fruitless = 0
            return None
        if culprit.split < 0:
            return None
        if culprit.last - culprit.first == 1:
            return self._died_alone(culprit)
        if self._narrow(culprit):
            self._fruitless = 0
        return None

    def _died_in_calls(self, culprit: Culprit) -> bool:
        """Suspect every record that was in a call. Whether that changed anything."""
        before = self._together.get(culprit.stage, ())
        if culprit.outside and not any(now.overlaps(then) for now in culprit.calls for then in before):
            self._together[culprit.stage] = culprit.calls
            return False
        self._passing.setdefault(culprit.stage, set()).update(suspect.split for suspect in culprit.calls)
        changed = [self._suspect(suspect) for suspect in culprit.calls]
        return any(changed)

    def _suspect(self, suspect: Suspect) -> bool:
        """Mark these records; if they were marked and still called together, halve them."""
        inspection = self.inspections.setdefault(suspect.split, Inspection())
        if inspection.marks(suspect.first, suspect.last):
            return inspection.halve(suspect.first, suspect.last)
        inspection.suspect(suspect.first, suspect.last)
        return True

    def _died_alone(self, culprit: Culprit) -> Quarantine | None:
        """Count a strike, if the frame was marked and held this record alone on purpose."""
        inspection = self.inspections.setdefault(culprit.split, Inspection())
        record = max(culprit.origin, culprit.first)
        self._named(culprit)
        if not inspection.isolates(record):
            inspection.alone(record)
            self._fruitless = 0
            return None
        inspection.halved = 0
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
        inspection = self.inspections.setdefault(culprit.split, Inspection())
        if culprit.origin >= 0:
            self._named(culprit)
            if inspection.isolates(culprit.origin):
                return False
            inspection.alone(culprit.origin)
            return True
        if not inspection.marks(culprit.first, culprit.last):
            inspection.suspect(culprit.first, culprit.last)
            return True
        return inspection.halve(culprit.first, culprit.last)

    def _named(self, culprit: Culprit) -> None:
        """One record is named: it was not too much at once."""
        if culprit.split in self._passing.get(culprit.stage, ()):
            del self._passing[culprit.stage]

    def accepted(self, split: int, *, finished: bool) -> Excess | None:
        """Something new was accepted. What the end of an inspection has shown, if it found nobody."""
        self._fruitless = 0
        if not finished or split not in self.inspections:
            return None
        halved = self.inspections.pop(split).halved
        self._strikes = {key: n for key, n in self._strikes.items() if key[0] != split}
        for stage, splits in self._passing.items():
            splits.discard(split)
            if not splits:
                del self._passing[stage]
                self._relieved.add(stage)
                return Excess(stage)
        return Excess(records=halved // 2) if halved else None
