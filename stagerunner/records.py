"""What a frame holds: a batch of records, their origins, failures and counts.

All of it is sent between processes, so all of it is plain data.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from stagerunner.tuples import NamedTuple

TO_THE_END = 2**32 - 1
"""As the `last` of a range: up to the end of the split, which isn't known yet."""

SOURCE = -1
"""The stage index of the source's own failures and counts; the sink's index is the number of stages."""

NOTHING: dict[Any, Any] = {}
"""The default of dictionaries in named tuples, which are never written to."""

HITS = "memo hits"
"""The counter, among the stage's own, of records whose results were kept: they were not computed again."""

RECALLED = "memo hits: "
"""What the name of a counter begins with that says how much of the counter's sum was counted again at hits."""

DROP = "drop"
"""The policy of a record that a stage filtered out, told as a Failure: its message says why."""

SPENT = "budget spent"
"""The type of the failure that ends a run whose budget is spent. No exception can have it as its name."""

PASSING = "refused for now"
"""The type of a failure that may pass: the system or a server refused a source something, or the disk is full for a
stage. It ends the run, which can be resumed. No exception can have it as its name."""

QuarantineKey: TypeAlias = tuple[int, int, int]
"""(stage, origin, ordinal of the record among those of this origin there): a record that must not be tried again."""

WHOLE = -1
"""As the ordinal of a quarantine: all records that came from the source record."""


class Plain:
    """A base for classes with named fields, `==` and `repr`. Dataclasses would double what a worker imports."""

    __slots__: tuple[str, ...] = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, n) == getattr(other, n) for n in self.__slots__)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class Mark(Plain):
    """What a resumable stream yields between records: a position from which it can be read again.

    position: JSON data, not None. `read(after=position)` must go on with the records after the mark.
    """

    __slots__ = ("position",)

    def __init__(self, position: Any) -> None:
        if position is None:
            raise TypeError("Mark(None): None stands for the beginning; a mark needs a position")
        self.position = position


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
    """Where a record came from, for messages and dead letters. Unknown parts are None.

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
    policy: the stage's `on_error`: fail, skip or dead_letter; or DROP for a record that was filtered out.
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


class Entering(NamedTuple):
    """A record on its way to the stage, or the sink, at which it enters: a dead letter that is replayed."""

    stage: int
    record: Any


class Spread(NamedTuple):
    """How a stage's counts divide by source record, beside what its failures say.

    given: (origins of some incoming records, in order; how many results each gave). A record that isn't listed gave one
    result, or failed. left: the origin of each record that was not processed. extra: the stage's own counters, as
    (name, origins of the records that counted, in order; the numbers they counted).
    """

    given: list[tuple[Sequence[int], Sequence[int]]]
    left: Sequence[int] = ()
    extra: Sequence[tuple[str, Sequence[int], Sequence[int]]] = ()

    def reaches(self, origin: int) -> bool:
        """Whether it says anything about this source record or a later one."""
        told = [*(origins for origins, _ in self.given), self.left, *(origins for _, origins, _ in self.extra)]
        return any(len(origins) and origins[-1] >= origin for origins in told)


def spread_counters(noted: Iterable[tuple[int, str, int]]) -> list[tuple[str, Sequence[int], Sequence[int]]]:
    """Counters as in a Spread, from the (origin, name, number) of each call of `count`, in order."""
    named: dict[str, tuple[list[int], list[int]]] = {}
    for origin, name, number in noted:
        origins, numbers = named.setdefault(name, ([], []))
        origins.append(origin)
        numbers.append(number)
    return [(name, *both) for name, both in named.items()]


def counters_within(spread: Spread, first: int, last: int) -> dict[str, int]:
    """What the source records first ≤ i < last have counted."""
    found = {name: sum(_within(origins, numbers, first, last)) for name, origins, numbers in spread.extra}
    return {name: number for name, number in found.items() if number}


def _within(origins: Sequence[int], values: Sequence[int], first: int, last: int) -> Sequence[int]:
    """The values whose source records (`origins`, ascending) are first ≤ i < last."""
    return values[bisect_left(origins, first) : bisect_left(origins, last)]


def divided(
    begun: int,
    stages: int,
    first: int,
    last: int,
    failures: Iterable[Failure],
    spreads: Iterable[tuple[int, Spread]],
    sinks: Iterable[int] = (),
) -> list[Counts]:
    """The counts of the source records first ≤ i < last, stage by stage, from `begun` up to the index `stages`.

    begun: SOURCE, or the stage whose flush it is. failures, spreads: all that there are for these records; they may
    also be about others. sinks: the indices of those that each get every record that leaves the last stage.
    """
    ledger, number = list[Counts](), last - first
    failed = [(failure.stage, failure.policy) for failure in failures if first <= failure.origin < last]
    spread = list(spreads)

    def passed(stage: int, counts: Counts) -> int:
        """Complete the counts of a stage; how many records leave it."""
        for at, told in spread:
            if at == stage:
                _apply(counts, told, first, last)
        for at, policy in failed:
            if at == stage:
                counts.fail(policy)
        gone = counts.filtered + counts.skipped + counts.dead + counts.not_processed
        counts.out = counts.taken + counts.created - gone
        ledger.append(counts)
        return counts.out

    for stage in range(begun, stages + 1):
        flushed = stage == begun != SOURCE
        number = passed(stage, Counts(stage, created=number) if flushed else Counts(stage, taken=number))
    for sink in sinks:
        passed(sink, Counts(sink, taken=number))
    return ledger


def _apply(counts: Counts, spread: Spread, first: int, last: int) -> None:
    counts.not_processed += len(_within(spread.left, spread.left, first, last))
    for origins, sizes in spread.given:
        ours = _within(origins, sizes, first, last)
        none = ours.count(0)
        counts.filtered += none
        counts.created += sum(ours) - (len(ours) - none)
    counts.add(Counts(counts.stage, extra=counters_within(spread, first, last)))


class Rows(Sequence[Any]):
    """Records that lie in columns, and become dicts when they are asked for. They can't change.

    Only evaluate.arrow has some; this class stands here so that they are recognised without importing anything.
    """

    __slots__ = ()

    def to_list(self) -> list[Any]:
        """Each row as a dict."""
        raise NotImplementedError

    def take(self, indexes: Iterable[int]) -> Rows:
        """The rows at these indexes."""
        raise NotImplementedError


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
        them again. With DROP they were filtered out."""
        if policy == "skip":
            self.skipped += number
        elif policy == "dead_letter":
            self.dead += number
        elif policy == DROP:
            self.filtered += number
        else:
            self.not_processed += number

    @property
    def balanced(self) -> bool:
        fates = self.out + self.filtered + self.skipped + self.dead + self.not_processed
        return self.taken + self.created == fates


class Original:
    """The records of a batch as they came. `decode` makes them again when one has failed."""

    __slots__ = ("_decode", "_found")

    def __init__(self, decode: Callable[[], list[Any]]) -> None:
        self._decode = decode
        self._found: list[Any] | None = None

    def records(self) -> list[Any]:
        """All records, not to be changed; none if decoding fails."""
        if self._found is None:
            try:
                self._found = self._decode()
            except BaseException:
                self._found = []
        return self._found

    def behind(self, start: int, end: int) -> Original:
        """The originals of the records start ≤ index < end."""
        return Original(lambda: self.records()[start:end])


class Recalled:
    """The fields of a Batch that `==` ignores; most are needed only once something has failed.

    original: the records as they came; None if they can't have changed.
    before: the batch from which a stage has made this one.
    frame: (sequence, split) of its frame, if several are under way at once. final: nothing of its frame follows.
    halted: it ends early, because the run is halted.
    """

    __slots__ = ("before", "final", "frame", "halted", "original")


class Batch(Recalled, Plain):
    """The records of one frame, or of a piece of one, between two stages.

    records: a list, or Rows that lie in columns.
    first, last: it stands for the source records first ≤ i < last of the split, also those that are dropped by now.
    origins: the source record of each record, ascending, as a list or an array of integers; None while they are first,
    first + 1, …
    failures: those of the stages so far. counts: one entry for each stage passed.
    stop: a stage has called `enough` in this frame; nothing after `last` is wanted.
    """

    __slots__ = ("counts", "failures", "first", "last", "origins", "records", "stop")

    def __init__(
        self,
        records: Any,
        first: int = 0,
        last: int = 0,
        origins: Any = None,
        failures: list[Failure] | None = None,
        counts: list[Counts] | None = None,
        stop: bool = False,
    ) -> None:
        self.records: Any = records
        self.first, self.last = first, last
        self.origins = origins
        self.failures: list[Failure] = [] if failures is None else failures
        self.counts: list[Counts] = [] if counts is None else counts
        self.stop = stop
        self.original: Original | None = None
        self.before: Batch | None = None
        self.frame: tuple[int, int] | None = None
        self.final = self.halted = False

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


def cut_at_failure(batch: Batch, failure: Failure) -> None:
    """End the batch before the source record of `failure`."""
    keep = sum(1 for index in range(len(batch.records)) if batch.origin(index) < failure.origin)
    before = [other for other in batch.failures if other.origin < failure.origin]
    batch.failures = [*before, failure]
    if batch.origins is not None:
        batch.origins = batch.origins[:keep]
    batch.records = batch.records[:keep]
    batch.last = failure.origin


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
