"""What a frame holds: a batch of records, where each comes from, what failed, and the counts.

Everything here crosses process borders, so everything here is plain data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from stagerunner.tuples import NamedTuple

TO_THE_END = 2**32 - 1
"""As the `last` of a range: to the end of the split, wherever that is."""

SOURCE = -1
"""The stage index under which the source's own failures and counts are booked; the sink's is the number of stages."""

NOTHING: dict[Any, Any] = {}
"""The default of named tuples' dictionaries; nobody writes to those."""

QuarantineKey: TypeAlias = tuple[int, int, int]
"""(stage, source record, ordinal of that record there): a record that is not to be tried again."""

WHOLE = -1
"""As the ordinal of a quarantine: all that has become of the source record."""


class Split(NamedTuple):
    """A piece of the source, small enough to be sent and resent.

    data: what `read` needs, any plain value ("bytes 0-262144 of a.jsonl"), or the bytes or records themselves.
    size: bytes this split stands for in the window and in the progress.
    position: where the next split begins, as JSON data: `splits(after=position)` goes on from there.
        None where the source can't be read twice.
    most: no more source records than this are in it, if that is known.
    """

    data: Any
    size: int
    position: Any = None
    most: int | None = None


class Origin(NamedTuple):
    """Where a record came from, as a person would look it up. What isn't known is None.

    name: the file or other origin; offset: in bytes from its start (decompressed); number: record of the run
    or of the file, from 0; line: of the file, from 1. tried: how often a dead letter that comes back was tried before.
    """

    name: str
    offset: int | None = None
    number: int | None = None
    line: int | None = None
    tried: int = 0


class Malformed(NamedTuple):
    """What a source yields, in the place of a record, for a piece of its input that can't be read as one.

    type: a word for what is wrong ("JSONDecodeError"); message: why; record: the piece itself, bytes or text.
    """

    type: str
    message: str
    record: Any = None


class CodeFrame(NamedTuple):
    """One line of the user's code in a traceback."""

    file: str
    line: int
    function: str


class Cause(NamedTuple):
    """What an exception comes from.

    how: cause (`raise … from`), context (it was raised while this one was handled), member (of a group).
    """

    how: str
    type: str
    message: str
    frames: tuple[CodeFrame, ...] = ()


class Failure(NamedTuple):
    """A record that could not be processed, as text and plain data; an exception object never travels.

    stage: index of the stage (SOURCE for the source, the number of stages for the sink).
    origin: the source record of the split it comes from; ordinal: which of the records with that origin, there.
    policy: what its stage's `on_error` says: fail, skip or dead_letter.
    record: the record as the stage got it, or None with `text` its representation where it can't be pickled.
    causes: the chain of what the exception comes from, nearest first.
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
    """Named fields that can be written, compared and read. As dataclasses they would double what a worker imports."""

    __slots__: tuple[str, ...] = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class Spread(NamedTuple):
    """Where a stage's counts come from: what tells how to divide them by source record. Failures say it themselves.

    given: the source records of some that came, in order, and how many each gave; what isn't here gave one, or failed.
    left: the source record of each that was not processed.
    """

    given: list[tuple[Sequence[int], Sequence[int]]]
    left: list[int]


class Divisible:
    """What counts may be asked for while a frame is under way; no part of what they are. spread: None where each record
    gave one."""

    __slots__ = ("spread",)


class Counts(Divisible, Plain):
    """The ledger of one stage: in + created = out + filtered + skipped + dead + not processed.

    not_processed: the record that the run fails with, and what came with it behind the cut: a failure, or the record
    of which a stage said that it was enough. Their fates are open. extra: the stage's own counters.
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
        """Records failed: what they count as is for their stage's `on_error` to say. With `fail` the run ends, and a
        resumed one tries them again."""
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
    """What changes in the ledger for records and failures at or behind a cut: none of them is processed.

    stage: where the records are. given: that stage has counted them as its results; else it has not taken them yet.
    """
    ours = Counts(stage, out=-records) if given else Counts(stage, taken=records)
    ours.not_processed = records
    return [ours, *failures_behind_cut(failures)]


def failures_behind_cut(failures: Iterable[Failure]) -> list[Counts]:
    """The same for failures alone: they are not reported, and their records are not processed."""
    return [_taken_back(failure) for failure in failures]


def _taken_back(failure: Failure) -> Counts:
    counts = Counts(failure.stage, not_processed=1)
    counts.fail(failure.policy, -1)
    return counts


class Recalled:
    """What a batch may be asked for once something has failed; no part of what it is.

    original: its records as they came (evaluate.copying.Original), None where nobody can have changed them.
    before: the batch from whose records a stage has made these.
    frame: (sequence, split) of the frame they came in, where several are under way at once.
    """

    __slots__ = ("before", "frame", "original")


class Batch(Recalled, Plain):
    """The records of one frame, or of a piece of one, between two stages.

    first, last: the source records of the split it stands for, first ≤ i < last; whatever has become of them.
    origins: the source record each record comes from, ascending; None while they are first, first + 1, …
    failures: what failed on the way so far. counts: one entry for each stage passed.
    stop: the stage that needs no more has spoken in this frame; nothing after `last` is wanted.
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
        """Which of the records with the same origin the record at `index` is, from 0."""
        if self.origins is None:
            return 0
        origin, start = self.origins[index], index
        while start and self.origins[start - 1] == origin:
            start -= 1
        return index - start


def total(counts: Iterable[Counts]) -> dict[int, Counts]:
    """The counts added up, a new entry for each stage."""
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
"""The epoch a run begins with; each restart begins the next."""

KINDS = {READY: "READY", DATA: "DATA", FLUSH: "FLUSH", BARRIER: "BARRIER", END: "END", SKIP: "SKIP"}
