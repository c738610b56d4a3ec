"""What a transform may call while it runs: `count`, `enough` and `empty`.

The listener is a context variable: a process may have several evaluators, and an async stage runs each call in a
context of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from math import prod
from operator import index
from typing import Any, Protocol, TypeVar

A = TypeVar("A")
T = TypeVar("T")

MOST = 2**63 - 1
"""The largest number that `count` takes."""

allocate: Callable[[int], memoryview | None] | None = None
"""Allocates writable bytes of the arena for the current frame; None when there is no room. A worker sets it."""

arena_type: type | None = None
"""The type of the objects that own this memory."""

LARGE = 65536
"""Bytes from which on an array is put into shared memory."""


class Listener(Protocol):
    """Receives a transform's calls of `count` and `enough`."""

    def count(self, name: str, number: int) -> None: ...
    def enough(self) -> None: ...


class CallListener:
    """The listener for one async call; its counters are added up after the call."""

    __slots__ = ("extra", "said_enough")

    def __init__(self) -> None:
        self.extra: dict[str, int] = {}
        self.said_enough = False

    def count(self, name: str, number: int) -> None:
        self.extra[name] = self.extra.get(name, 0) + number

    def enough(self) -> None:
        self.said_enough = True


current: ContextVar[Listener | None] = ContextVar("stagerunner.current", default=None)


def count(name: str, number: int = 1) -> None:
    """Add `number` to the counter `name` of the stage being called.

    It does nothing outside a stage, and in threads that a transform starts itself. Raises TypeError if `name` isn't
    text or `number` isn't a number, and ValueError for a number that is too large or not finite.
    """
    if type(name) is not str or type(number) is not int or not -MOST <= number <= MOST:
        name, number = _counter(name, number)
    listener = current.get()
    if listener is not None:
        listener.count(name, number)


def _counter(name: Any, number: Any) -> tuple[str, int]:
    """A name and a number of any types as plain ones. Raises TypeError and ValueError, as `count` does."""
    if not isinstance(name, str):
        raise TypeError(f"count() takes the name of a counter, not {type(name).__name__}")
    if not isinstance(number, float):
        try:
            number = index(number)
        except TypeError:
            raise TypeError(f"count() adds a number, not {type(number).__name__}") from None
    if not -MOST <= number <= MOST:
        raise ValueError(f"count() can't add {number if isinstance(number, float) else 'a number this large'}")
    return str.__str__(name), number


def enough() -> None:
    """Stop the stage after the current record: its results are the last that this stage gives.

    It does nothing outside a stage. In a batch transform it stops after the current list.
    """
    listener = current.get()
    if listener is not None:
        listener.enough()


def call_with_listener(listener: Listener, call: Callable[[], T]) -> T:
    """Make this call with `listener` as the current listener."""
    token = current.set(listener)
    try:
        return call()
    finally:
        current.reset(token)


def add(listener: Listener, extra: dict[str, int]) -> None:
    """Add these counters to those of the listener."""
    for name, number in extra.items():
        listener.count(name, number)


def heard(call: Callable[[A], T], argument: A, listener: CallListener) -> T:
    """Make this call with `listener` as the current one. The listener of before gets the same, also if it raises."""
    outer = current.get()
    token = current.set(listener)
    try:
        return call(argument)
    finally:
        current.reset(token)
        if outer is not None:
            add(outer, listener.extra)
            if listener.said_enough:
                outer.enough()


def empty(shape: int | tuple[int, ...], dtype: Any = float) -> Any:
    """A new numpy array with unset content, to be filled and returned as a result.

    A large one lies in shared memory, so that sending it needs no copy: 1.5 × faster for arrays that a stage fills.
    Outside a stage, and where there is no room, it is `numpy.empty`. Raises ImportError if numpy isn't installed.
    """
    import numpy as np  # a late import: stages without arrays don't need numpy

    kind = np.dtype(dtype)
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    size = prod(sizes) * kind.itemsize
    room = allocate(size) if allocate is not None and size >= LARGE and not kind.hasobject else None
    return np.empty(sizes, kind) if room is None else np.frombuffer(room, kind).reshape(sizes)
