"""A chain of three stages of which the second misbehaves at record 5000; what the scoreboard's cases consist of.

Each function is at the top of a module and knows its folder from the environment: at the fault it leaves there the
time at which it happened, once, so that seconds are counted from there and not from the start of a slow library.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stagerunner import stage

Record = dict[str, Any]

BAD = 5000
FOLDER = "STAGERUNNER_BENCH_FOLDER"


def fault() -> bool:
    """Write down that the fault happens now. False if it has happened before."""
    try:
        with (Path(os.environ[FOLDER]) / "fault").open("x") as file:
            file.write(str(time.time()))
    except FileExistsError:
        return False
    return True


class Awkward(Exception):
    """Pickles, and can't be unpickled: its constructor wants more than `args` holds."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")


def first(record: Record) -> Record:
    return record


def third(record: Record) -> Record:
    return record


def second_is_killed(record: Record) -> Record:
    if record["id"] == BAD and fault():
        os.kill(os.getpid(), signal.SIGKILL)
    return record


def second_raises(record: Record) -> Record:
    if record["id"] == BAD:
        fault()
        raise ValueError("this one is no good")
    return record


def second_returns_a_lambda(record: Record) -> Any:
    if record["id"] == BAD:
        fault()
        return {"id": record["id"], "function": lambda: None}
    return record


def second_raises_awkwardly(record: Record) -> Record:
    if record["id"] == BAD:
        fault()
        raise Awkward("no good", "at all")
    return record


def second_exits(record: Record) -> Record:
    if record["id"] == BAD:
        fault()
        os._exit(0)
    return record


def second_takes_its_time(record: Record) -> Record:
    time.sleep(0.001)
    return record


def no_setup() -> None:
    fault()
    raise RuntimeError("no licence for this")


@stage
class SecondWithoutLicence:
    """The same as `no_setup`, as a stage of stagerunner says it."""

    def setup(self) -> None:
        no_setup()

    def process(self, record: Record) -> Record:
        return record


class Some:
    """So many records; endless if None. padding: bytes each of them carries besides."""

    def __init__(self, count: int | None, padding: int = 0) -> None:
        self.count = count
        self.padding = padding

    def __call__(self) -> Iterator[Record]:
        number = 0
        while self.count is None or number < self.count:
            record: Record = {"id": number}
            yield record | {"data": bytes(self.padding)} if self.padding else record
            number += 1
