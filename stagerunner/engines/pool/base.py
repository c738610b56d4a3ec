"""The interface of a pool: what an engine of this kind has to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from stagerunner.engines.base import Trouble
from stagerunner.tuples import NamedTuple
from stagerunner.wire.spec import WorkerSpec

Ticket: TypeAlias = Any
"""Stands for what a submit will give. Any object that can be a key; unlike every other of the run."""


class Done(Struct, frozen=True):
    """What became of a ticket.

    pid: of the worker, once it is set up. error: why it couldn't be set up or closed. trouble: the worker is lost.
    words: what its slots say, if it doesn't write to the transport's metrics page. printed: what it has printed.
    nothing: it gives nothing, because another ticket gave nothing. cut: it was not begun, because the run was halted.
    """

    ticket: Ticket
    pid: int = 0
    error: str = ""
    trouble: Trouble | None = None
    words: tuple[SlotWords, ...] = ()
    printed: bytes = b""
    nothing: bool = False
    cut: bool = False


class SlotWords(NamedTuple):
    """The words of a slot as bytes."""

    slot: int
    words: bytes


Tell: TypeAlias = Callable[[Done], None]
"""How a pool says that a ticket is done. Any thread may call it."""


class Pool(Protocol):
    """Workers, one for each spec. They are numbered in the order of the specs.

    A worker runs what it is given in the order of the calls of `submit`: one after the other, or, where its stage
    `works_ahead`, with several frames open (worker.work_ahead). Its tickets are done in that order.
    """

    works_ahead: bool
    """Whether workers begin a frame while earlier ones are open, where their stage allows it."""

    shares_page: bool
    """Whether the workers write to the transport's metrics page. Else `Done.words` says what theirs say."""

    def open(self, specs: Sequence[WorkerSpec]) -> list[Ticket]:
        """End what is left of earlier workers, and begin one for each spec: at once, without waiting. The ticket of
        each is done once it is set up, or has failed to."""

    def submit(self, worker: int, given: bytes | Ticket) -> Ticket:
        """Have a worker feed frames to its stage runner: a bundle (wire.frame), or what another ticket stands for.
        Never waits.

        Nothing comes of it if nothing came of the ticket that was given.
        """

    def fetch(self, ticket: Ticket) -> bytes:
        """The bundle that a ticket stands for. Called once, when it is done. Raises LookupError if it is lost."""

    def hopeless(self) -> str:
        """Why no worker will be set up any more; "" while one may be. Asked now and then while workers are awaited."""

    def halt(self) -> None:
        """Let workers that don't see the transport's metrics page end the frame in hand early, and begin no other.
        Called once, between two turns of the loop."""

    def kill(self) -> None:
        """End every worker and do nothing else. Safe in any thread."""

    def close(self) -> None:
        """End every worker and release everything."""
