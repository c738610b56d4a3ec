"""The stages of the grid: a record costs so many seconds, asleep from 1 ms on, else busy. They note when they lived."""

from __future__ import annotations

import os
import time

from stagerunner import stage


def note(path: str) -> None:
    """A moment of the monotonic clock, as a line."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{time.monotonic_ns()}\n".encode())
    os.close(file)


def busy(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


class Costing:
    """cost: seconds a record. log: where the first and last moment are noted."""

    def __init__(self, *, cost: float, log: str) -> None:
        self.cost, self.log = cost, log
        self.spend = time.sleep if cost >= 1e-3 else busy

    def setup(self) -> None:
        note(self.log)

    def close(self) -> None:
        note(self.log)


@stage
class Plain(Costing):
    """One by one."""

    def process(self, text: str) -> str:
        self.spend(self.cost)
        return text


@stage.batch
class Batch(Costing):
    """In lists."""

    def process_batch(self, texts: list[str]) -> list[str]:
        self.spend(self.cost * len(texts))
        return texts
