"""What a worker knows about a stage, and the slot in which it notes the current record."""

from __future__ import annotations

from typing import Any, Protocol

from stagerunner.parts.stage import Form
from stagerunner.records import NOTHING, Batch
from stagerunner.tuples import NamedTuple


class Work(NamedTuple):
    """One stage as a worker sees it: plain data, so that it can be sent to another process.

    index: its position in the chain, from 0. target: "module:name" to import. options: checked and converted.
    batch: records in a list for a batch transform, at most (None: the frame). concurrency: async calls at once.
    attempts, delay, factor, longest: the setting `retry`, in seconds. timeout: seconds for one attempt, or None.
    rate: calls per second of the whole stage, or None. on_error: fail, skip, dead_letter.
    growth: bytes that one source record may have become on leaving this stage. stages: how many the chain has, if
    records may enter at any of them (evaluate.returning); else 0.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuple that nothing needs here
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
    """Where a worker notes the current record, for deadlines and for the root cause of a death."""

    def enter(self, record: int, since: int = 0, batch: Batch | None = None) -> None:
        """A call begins for the record at this index of the batch, or for a list that begins with it.

        since: when it began, in nanoseconds of the monotonic clock; 0 for now. batch: given if several are under way;
        `batch.frame` says which frame it belongs to.
        """

    def leave(self) -> None:
        """The call has ended."""


class NoSlot:
    """A slot that stores nothing."""

    def enter(self, record: int, since: int = 0, batch: Batch | None = None) -> None:
        pass

    def leave(self) -> None:
        pass
