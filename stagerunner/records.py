"""What a frame holds: a batch of records, their origins, failures and counts.

All of it is sent between processes, so all of it is plain data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from stagerunner.tuples import NamedTuple

TO_THE_END = 2**32 - 1
"""As the `last` of a range: up to the end of the split, which isn't known yet."""

SOURCE = -1
"""The stage index of the source's own failures and counts; the sink's index is the number of stages."""

NOTHING: dict[Any, Any] = {}
"""The default of dictionaries in named tuples, which are never written to."""

QuarantineKey: TypeAlias = tuple[int, int, int]
"""(stage, origin, ordinal of the record among those of this origin there): a record that must not be tried again."""

WHOLE = -1
"""As the ordinal of a quarantine: all records that came from the source record."""


class Split(NamedTuple):
    """A piece of the source, small enough to be sent and resent.

    data: what `read` needs, any plain value ("bytes 0-262144 of a.jsonl"), or the bytes or records themselves.
    size: bytes of this split, for the window and the progress.
    position: where the next split begins, as JSON data: `splits(after=position)` continues there. None if the source
        can't be read twice.
    most: the largest number of source records it can hold, if that is known.
    """

    data: Any
    size: int
    position: Any = None
    most: int | None = None


class Origin(NamedTuple):
    """Where a record came from, for messages and dead letters. What isn't known is None.

    name: the file or other source; offset: bytes from its start (decompressed); number: of the record in the run or the
    file, from 0; line: of the file, from 1. tried: attempts before, for a dead letter that is replayed.
    """

    name: str
    offset: int | None = None
    number: int | None = None
    line: int | None = None
    tried: int = 0


class Malformed(NamedTuple):
    """What a source yields instead of a record, for input that it can't read as one.

    type: what is wrong, in a word ("JSONDecodeError"); message: why; record: the input itself, bytes or text.
    """

    type: str
    message: str
    record: Any = None


class CodeFrame(NamedTuple):
    """A frame of user code in a traceback."""

    file: str
    line: int
    function: str


class Cause(NamedTuple):
    """The cause of an exception.

    how: cause (`raise … from`), context (the exception was raised while this one was handled), member (of a group).
    """

    how: str
    type: str
    message: str
    frames: tuple[CodeFrame, ...] = ()


class Failure(NamedTuple):
    """A record that could not be processed, as text and plain data; an exception object never travels.

    stage: index of the stage (SOURCE for the source, the number of stages for the sink).
    origin: the source record of the split that it comes from; ordinal: its number among the records with that origin.
    policy: the stage's `on_error`: fail, skip or dead_letter.
    record: the record as the stage got it; None if it can't be pickled, then `text` is its representation.
    causes: the exception's causes, nearest first.
    """

    stage: int
    origin: int
    ordinal: int
    type: str
    message: str
    policy: str
    frames: tuple[CodeFrame, ...] = ()
    attempts: int = 1
    record: Any = None
    text: str = ""
    causes: tuple[Cause, ...] = ()


class Plain:
    """A base for classes with named fields, `==` and `repr`. Dataclasses would double what a worker imports."""

    __slots__: tuple[str, ...] = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class Spread(NamedTuple):
    """How a stage's counts divide by source record, beside what its failures say.

    given: (origins of some incoming records, in order; how many results each gave). A record that isn't listed gave one
    result, or failed. left: the origin of each record that was not processed.
    """

    given: list[tuple[Sequence[int], Sequence[int]]]
    left: list[int]


class Divisible:
    """The field of Counts that `==` ignores. spread: None if each record gave one result."""

    __slots__ = ("spread",)


class Counts(Divisible, Plain):
    """The ledger of one stage: in + created = out + filtered + skipped + dead + not processed.

    not_processed: the record that the run fails with, and all records behind a cut (a failure, or `enough`). This run
    doesn't decide their fate. extra: the stage's own counters.
    """

    __slots__ = ("created", "dead", "extra", "filtered", "not_processed", "out", "skipped", "stage", "taken")

    def __init__(
        self,
        stage: int,
        taken: int = 0,
        created: int = 0,
        out: int = 0,
        filtered: int = 0,
        skipped: int = 0,
        dead: int = 0,
        not_processed: int = 0,
        extra: dict[str, int] | None = None,
    ) -> None:
        self.stage = stage
        self.taken, self.created, self.out = taken, created, out
        self.filtered, self.skipped, self.dead = filtered, skipped, dead
        self.not_processed = not_processed
        self.extra: dict[str, int] = {} if extra is None else extra
        self.spread: Spread | None = None

    def add(self, other: Counts) -> None:
        self.taken += other.taken
        self.created += other.created
        self.out += other.out
        self.filtered += other.filtered
        self.skipped += other.skipped
        self.dead += other.dead
        self.not_processed += other.not_processed
        for name, number in other.extra.items():
            self.extra[name] = self.extra.get(name, 0) + number

    def fail(self, policy: str, number: int = 1) -> None:
        """Count failed records as the stage's `on_error` says. With `fail` they are not processed: a resumed run tries
        them again."""
        if policy == "skip":
            self.skipped += number
        elif policy == "dead_letter":
            self.dead += number
        else:
            self.not_processed += number

    @property
    def balanced(self) -> bool:
        fates = self.out + self.filtered + self.skipped + self.dead + self.not_processed
        return self.taken + self.created == fates


def behind_cut(stage: int, records: int, failures: Iterable[Failure], *, given: bool = False) -> list[Counts]:
    """The counts to add for records and failures at or behind a cut: none of them is processed.

    stage: where the records are. given: the stage has counted them as results; else it hasn't taken them yet.
    """
    ours = Counts(stage, out=-records) if given else Counts(stage, taken=records)
    ours.not_processed = records
    return [ours, *failures_behind_cut(failures)]


def failures_behind_cut(failures: Iterable[Failure]) -> list[Counts]:
    """The counts to add for failures behind a cut: they aren't reported, and their records are not processed."""
    return [_taken_back(failure) for failure in failures]


def _taken_back(failure: Failure) -> Counts:
    counts = Counts(failure.stage, not_processed=1)
    counts.fail(failure.policy, -1)
    return counts


class Recalled:
    """The fields of a Batch that `==` ignores; most are needed only once something has failed.

    original: the records as they came (evaluate.copying.Original); None if they can't have changed.
    before: the batch from which a stage has made this one.
    frame: (sequence, split) of its frame, if several are under way at once.
    """

    __slots__ = ("before", "frame", "original")


class Batch(Recalled, Plain):
    """The records of one frame, or of a piece of one, between two stages.

    first, last: it stands for the source records first ≤ i < last of the split, also those that are dropped by now.
    origins: the source record of each record, ascending; None while they are first, first + 1, …
    failures: those of the stages so far. counts: one entry for each stage passed.
    stop: a stage has called `enough` in this frame; nothing after `last` is wanted.
    """

    __slots__ = ("counts", "failures", "first", "last", "origins", "records", "stop")

    def __init__(
        self,
        records: list[Any],
        first: int = 0,
        last: int = 0,
        origins: list[int] | None = None,
        failures: list[Failure] | None = None,
        counts: list[Counts] | None = None,
        stop: bool = False,
    ) -> None:
        self.records = records
        self.first, self.last = first, last
        self.origins = origins
        self.failures: list[Failure] = [] if failures is None else failures
        self.counts: list[Counts] = [] if counts is None else counts
        self.stop = stop
        self.original: Any = None
        self.before: Batch | None = None
        self.frame: tuple[int, int] | None = None

    def origin(self, index: int) -> int:
        return self.first + index if self.origins is None else self.origins[index]

    def ordinal(self, index: int) -> int:
        """The number of the record at `index` among those with the same origin, from 0."""
        if self.origins is None:
            return 0
        origin, start = self.origins[index], index
        while start and self.origins[start - 1] == origin:
            start -= 1
        return index - start


def total(counts: Iterable[Counts]) -> dict[int, Counts]:
    """The sum of the counts, as a new entry for each stage."""
    sums: dict[int, Counts] = {}
    for entry in counts:
        sums.setdefault(entry.stage, Counts(entry.stage)).add(entry)
    return sums


# Kinds of frames


READY = 1
DATA = 2
FLUSH = 3
BARRIER = 4
END = 5
SKIP = 6

FIRST = 1
"""The first epoch of a run; each restart begins the next one."""

KINDS = {READY: "READY", DATA: "DATA", FLUSH: "FLUSH", BARRIER: "BARRIER", END: "END", SKIP: "SKIP"}
