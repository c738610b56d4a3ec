"""The transforms of job K: each stands for an expensive one, waits for so long, and notes its calls in a file.

A note is a line `what pid nanoseconds size first`: `+` as a call begins, `-` as it ends. Who counts the lines counts
what was paid for, also after a kill. What waits asynchronously stands in `waiting.py`.
"""

from __future__ import annotations

import os
import time
from functools import cache

from stagerunner import stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def note(path: str, what: str, size: int, first: str) -> None:
    """One line in one write, so that lines of several workers don't mix."""
    os.write(opened(path), f"{what} {os.getpid()} {time.monotonic_ns()} {size} {first}\n".encode())


@stage
def slow(text: str, *, log: str, seconds: float) -> str:
    """One record after the other."""
    note(log, "+", 1, text)
    time.sleep(seconds)
    note(log, "-", 1, text)
    return text


@stage.batch
def model(texts: list[str], *, log: str, call: float, each: float) -> list[str]:
    """A model: so many seconds for a call, and for each record of it."""
    note(log, "+", len(texts), texts[0])
    time.sleep(call + each * len(texts))
    note(log, "-", len(texts), texts[0])
    return texts


@stage
def one_in_ten(text: str) -> str | None:
    """A filter that drops nine of ten."""
    return text if int(text) % 10 == 0 else None


@stage
def hundred(text: str) -> Iterator[str]:
    """A generator that makes a hundred of one."""
    for number in range(100):
        yield f"{text}{number:02d}"


@stage
def question(text: str) -> dict[str, str]:
    """A record with fields, for the stage `llm`."""
    return {"id": text}


@stage
def decoded(text: str, *, seconds: float) -> str:
    """Work of this much CPU time."""
    until, number = time.thread_time() + seconds, 0
    while time.thread_time() < until:
        for value in range(50):
            number += value * value % 7
    return text


@stage
class Lazy:
    """The first call loads what is needed; all others are quick."""

    def __init__(self, *, load: float, seconds: float) -> None:
        self._load, self._seconds = load, seconds

    def setup(self) -> None:
        self._loaded: list[bool] = []

    def process(self, text: str) -> str:
        if not self._loaded:
            time.sleep(self._load)
            self._loaded.append(True)
        time.sleep(self._seconds)
        return text


@stage
def uneven(text: str, *, log: str, seconds: float, every: int, long: float) -> str:
    """One record in `every` takes long."""
    note(log, "+", 1, text)
    time.sleep(long if int(text) % every == every // 2 else seconds)
    note(log, "-", 1, text)
    return text
