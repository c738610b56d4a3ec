"""Waiting for something that another process does."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")


def wait_until(found: Callable[[], T], seconds: float = 10.0, what: str = "it") -> T:
    """The result of `found` as soon as it is true. Fails the test if that takes more than so many seconds."""
    deadline = monotonic() + seconds
    while not (value := found()):
        assert monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        sleep(0.002)
    return value
