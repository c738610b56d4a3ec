"""What a transform may say while it is called: `count` and `enough`.

Several evaluators may live in one process, and an async one has several records under way at once, so who listens
is a context variable: each async record runs in a context of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from math import prod
from operator import index
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

MOST = 2**63 - 1
"""The largest number that is counted at once."""

allocate: Callable[[int], memoryview | None] | None = None
"""Where a worker gets bytes of shared memory for the results of the frame in hand, if there is such a thing."""

arena_type: type | None = None
"""The type of what that memory belongs to."""

LARGE = 65536
"""Bytes from which on an array travels beside the records."""


class Listener(Protocol):
    """Who hears a transform: an evaluator, for the batch or the record it is at. `extra`: the stage's own counters."""

    @property
    def extra(self) -> dict[str, int]: ...
    def enough(self) -> None: ...


class CallListener:
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

    Outside a stage, and in threads that a transform starts itself, it does nothing. Raises TypeError for a name that is
    no text and for what is no number, ValueError for a number that no machine integer or float holds.
    """
    if type(name) is not str or type(number) is not int or not -MOST <= number <= MOST:
        name, number = _counter(name, number)
    listener = current.get()
    if listener is not None:
        listener.extra[name] = listener.extra.get(name, 0) + number


def _counter(name: Any, number: Any) -> tuple[str, int]:
    """A name and a number of types of somebody's own as plain ones. Raises TypeError and ValueError."""
    if not isinstance(name, str):
        raise TypeError(f"count() takes the name of a counter, and not {type(name).__name__}")
    if not isinstance(number, float):
        try:
            number = index(number)
        except TypeError:
            raise TypeError(f"count() adds a number, and not {type(number).__name__}") from None
    if not -MOST <= number <= MOST:
        raise ValueError(f"count() can't add {number if isinstance(number, float) else 'so large a number'}")
    return str.__str__(name), number


def enough() -> None:
    """Say that the results of the record now being processed are the last this stage will give.

    Outside a stage it does nothing. In a batch transform the record is the list it was handed.
    """
    listener = current.get()
    if listener is not None:
        listener.enough()


def call_with_listener(listener: Listener, call: Callable[[], T]) -> T:
    """Make this call with the listener hearing what transforms say in it."""
    token = current.set(listener)
    try:
        return call()
    finally:
        current.reset(token)


def empty(shape: int | tuple[int, ...], dtype: Any = float) -> Any:
    """A new numpy array, its content not set, to be filled and given as a result.

    A large one lies where results travel from process to process, so that it isn't copied on its way out: worth
    1.5 × on arrays that a stage fills. Anywhere else, and where there is no room, it is `numpy.empty`. Raises
    ImportError where numpy isn't installed.
    """
    import numpy as np  # whoever asks for an array has it; nobody else has to

    kind = np.dtype(dtype)
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    size = prod(sizes) * kind.itemsize
    room = allocate(size) if allocate is not None and size >= LARGE and not kind.hasobject else None
    return np.empty(sizes, kind) if room is None else np.frombuffer(room, kind).reshape(sizes)
