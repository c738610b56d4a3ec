"""What a worker is told about a stage, and what it tells about itself while it works."""

from __future__ import annotations

from typing import Any, Protocol

from stagerunner.parts.stage import Form
from stagerunner.records import NOTHING, Batch
from stagerunner.tuples import NamedTuple


class Work(NamedTuple):
    """One stage as a worker sees it: plain data, so that it crosses a process border.

    index: its place in the chain, from 0. target: "module:name" to import. options: checked and converted.
    batch: longest list a batch transform is handed (None: the frame). concurrency: async records in flight.
    attempts, delay, factor, longest: the retry; seconds. timeout: seconds for one attempt, or None.
    rate: calls per second of the whole stage, or None. on_error: fail, skip, dead_letter.
    growth: bytes that one source record may have become on leaving this stage. stages: of the chain, where records may
    enter at any of them (evaluate.returning); else 0.
    """

    index: int  # type: ignore[assignment]  # a tuple's own method of that name is of no use here
    name: str
    target: str
    form: Form
    options: dict[str, Any] = NOTHING
    batch: int | None = None
    concurrency: int = 16
    attempts: int = 1
    delay: float = 0.2
    factor: float = 2.0
    longest: float = 30.0
    timeout: float | None = None
    rate: float | None = None
    on_error: str = "fail"
    growth: int = 64 * 2**20
    stages: int = 0


class Slot(Protocol):
    """Where a worker says which record it is at, for deadlines and for blame after a death."""

    def enter(self, record: int, since: int = 0, batch: Batch | None = None) -> None:
        """The call for the record at this index of the batch begins (for a batch transform: the first of its list).

        since: when it began, where that isn't now. batch: where several are under way, and `batch.frame` says of which
        frame it is.
        """

    def leave(self) -> None:
        """It has ended."""


class NoSlot:
    """A slot that nobody reads."""

    def enter(self, record: int, since: int = 0, batch: Batch | None = None) -> None:
        pass

    def leave(self) -> None:
        pass
