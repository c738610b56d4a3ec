"""What a transform may say while it is called: `count` and `enough`.

Several evaluators may live in one process, and an async one has several records under way at once, so who listens
is a context variable: each async record runs in a context of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol, TypeVar

T = TypeVar("T")

memory: Callable[[int], memoryview | None] | None = None
"""Where a worker gets bytes of shared memory for the results of the frame in hand, if there is such a thing."""

holder: type | None = None
"""The type of what that memory belongs to."""


class Listener(Protocol):
    """Who hears a transform: an evaluator, for the batch or the record it is at. `extra`: the stage's own counters."""

    @property
    def extra(self) -> dict[str, int]: ...
    def enough(self) -> None: ...


class Voice:
    """A listener for one record: what its call said, to be looked at once it has ended."""

    __slots__ = ("extra", "said_enough")

    def __init__(self) -> None:
        self.extra: dict[str, int] = {}
        self.said_enough = False

    def enough(self) -> None:
        self.said_enough = True


current: ContextVar[Listener | None] = ContextVar("stagerunner.current", default=None)


def count(name: str, number: int = 1) -> None:
    """Add `number` to the counter `name` of the stage being called.

    Outside a stage, and in threads that a transform starts itself, it does nothing.
    """
    listener = current.get()
    if listener is not None:
        listener.extra[name] = listener.extra.get(name, 0) + number


def enough() -> None:
    """Say that the results of the record now being processed are the last this stage will give.

    Outside a stage it does nothing. In a batch transform the record is the list it was handed.
    """
    listener = current.get()
    if listener is not None:
        listener.enough()


def heard_by(listener: Listener, call: Callable[[], T]) -> T:
    """Make this call with the listener hearing what transforms say in it."""
    token = current.set(listener)
    try:
        return call()
    finally:
        current.reset(token)
