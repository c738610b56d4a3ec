"""What a worker knows about a stage, a source or a sink, and the slot in which it notes the current record."""

from __future__ import annotations

from typing import Any, Protocol

from stagerunner.parts.stage import Form
from stagerunner.records import NOTHING, Batch
from stagerunner.tuples import NamedTuple


class MemoSpec(NamedTuple):
    """Where the results of a stage are kept, and under which keys.

    version: a digest of all that a result depends on besides its record: code, options, environment. files: path →
    checksum of what is behind it and may change during the run: code, and files that options name. code: the paths of
    code among them. packages: installed ones that count with their versions. ttl: seconds that a result is good for;
    None: forever. size: bytes of the file; None: any. power: what is kept survives a power failure.
    """

    path: str
    version: bytes
    files: dict[str, str] = NOTHING
    code: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    ttl: float | None = None
    size: int | None = None
    power: bool = False


COUNTERS = 8
"""Counters in the budget of one stage, at most: each has a word for every worker, there and on the metrics page."""


class BudgetSpec(NamedTuple):
    """What a stage may spend.

    limits: (counter, how far it may go). before: what this run had spent of each before it was resumed. path: the file
    that a resumed run reads, "" if it can't be resumed. start: the offset in it of the words of the first worker.
    """

    limits: tuple[tuple[str, float], ...]
    before: tuple[float, ...]
    path: str = ""
    start: int = 0

    def place(self, worker: int, counter: int) -> int:
        """The offset of a worker's word in the file."""
        return self.start + 8 * (worker * COUNTERS + counter)


class Work(NamedTuple):
    """One stage as a worker sees it: plain data, so that it can be sent to another process.

    index: its position in the chain, from 0. target: "module:name" to import. options: checked and converted.
    batch: the most records in a list for a batch transform (None: the frame). wait: seconds that a record waits for
    others to fill its list; None: lists are not gathered across frames. concurrency: async calls at once.
    when: an expression; records for which it isn't true pass the stage. "": all go through it.
    attempts, delay, factor, longest: the setting `retry`, in seconds. timeout: seconds for one attempt, or None.
    rate: calls per second of the whole stage, or None. on_error: fail, skip, dead_letter.
    memo: where results are kept, or None. budget: what it may spend, or None.
    drop_reason: why it drops a record for which it gives nothing; "": what it drops is counted and not told.
    growth: bytes that one source record may have become on leaving this stage. stages: how many the chain has, if
    records may enter at any of them (evaluate.dead_letters.returning); else 0.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuple that nothing needs here
    name: str
    target: str
    form: Form
    options: dict[str, Any] = NOTHING
    batch: int | None = None
    wait: float | None = None
    concurrency: int = 16
    when: str = ""
    attempts: int = 1
    delay: float = 0.2
    factor: float = 2.0
    longest: float = 30.0
    timeout: float | None = None
    rate: float | None = None
    memo: MemoSpec | None = None
    budget: BudgetSpec | None = None
    on_error: str = "fail"
    drop_reason: str = ""
    growth: int = 64 * 2**20
    stages: int = 0

    def eased(self, frame: int) -> Work:
        """The same with half as much at once: calls, or records in a call. frame: records of a frame."""
        if self.form.awaited and self.concurrency > 1:
            return self._replace(concurrency=self.concurrency // 2)
        return self._replace(batch=max(1, (self.batch or frame) // 2))

    @property
    def gathers(self) -> bool:
        """Whether its lists are gathered across frames."""
        return self.form.batch and self.wait is not None

    @property
    def works_ahead(self) -> bool:
        """Whether a frame may begin while earlier ones are open: of a stage that is async and has no state, or that
        gathers lists across frames."""
        return self.gathers or (self.form.awaited and not self.form.state)


class EndSpec(NamedTuple):
    """A source or sink as a worker sees it: what to import, its options, its `on_error`.

    target: "" if the records come ready-made, from a source process or from the caller. when: a sink's condition.
    refuses: the sink says which records it refuses as it writes them, and goes on without these.
    """

    target: str = ""
    options: dict[str, Any] = NOTHING
    on_error: str = "fail"
    max_record: int = 16 * 2**20
    when: str = ""
    refuses: bool = False


class Slot(Protocol):
    """Where a worker notes the current record, for deadlines and for the root cause of a death."""

    def enter(self, record: int, since: int = 0, batch: Batch | None = None, *, alone: bool = True) -> None:
        """A call begins for the record at this index of the batch, or, not `alone`, for a list that begins with it.

        since: when it began, in nanoseconds of the monotonic clock; 0 for now. batch: given if several are under way;
        `batch.frame` says which frame it belongs to.
        """

    def leave(self) -> None:
        """The call has ended."""

    def call(self, place: int, first: tuple[int, int], last: tuple[int, int]) -> None:
        """One of several calls begins, and `place` (0, 1, …) is its own until it ends.

        first, last: (frame's sequence, source record) of its first and of its last record.
        """

    def called(self, place: int) -> None:
        """The call in this place has ended."""

    def at_sink(self, number: int) -> None:
        """What follows is done for this one of the sinks."""


class NoSlot:
    """A slot that stores nothing."""

    def enter(self, record: int, since: int = 0, batch: Batch | None = None, *, alone: bool = True) -> None:
        pass

    def leave(self) -> None:
        pass

    def call(self, place: int, first: tuple[int, int], last: tuple[int, int]) -> None:
        pass

    def called(self, place: int) -> None:
        pass

    def at_sink(self, number: int) -> None:
        pass
