"""The plugin file of all chaos runs. Its stages write what happens to the file CHAOS_EVENTS, one line per event."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from stagerunner import stage

EVENTS = os.environ.get("CHAOS_EVENTS", "")

Record = dict[str, Any]


def tell(what: str) -> None:
    """One line, in one write, so that lines of several processes don't mix."""
    if EVENTS:
        log = os.open(EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(log, f"{what} {os.getpid()}\n".encode())
        os.close(log)


if "stagerunner.api" not in sys.modules:
    tell("born")


def die(deed: str) -> None:
    """End this process, or never return."""
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "exit":
        os._exit(0)
    if deed == "segv":
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
    while True:
        pass


@stage
def same(record: Record) -> Record:
    return record


@stage
def plus(record: Record, *, by: int = 1) -> Record:
    return {**record, "value": record["value"] + by}


@stage
def heavy(record: Record, *, pause: float = 0.0) -> Record:
    """pause: seconds each record takes."""
    time.sleep(pause)
    return record


@stage
def twins(record: Record) -> Iterator[Record]:
    """Two of some, none of others."""
    copies = 0 if record["value"] % 11 == 3 else 2 if record["value"] % 7 == 2 else 1
    for copy in range(copies):
        yield {**record, "value": record["value"] + 1000 * copy}


@stage
def most(record: Record) -> Record | None:
    return record if record["value"] % 13 else None


@stage.batch
def batched(records: list[Record], *, harmless: bool = True) -> list[Record]:
    for record in records:
        if record["deed"]:
            _obey(record, harmless)
    return [{**record, "value": 3 * record["value"]} for record in records]


@stage
def deadly(record: Record, *, harmless: bool = True, pause: float = 0.0) -> Record:
    """Do what the record says. harmless: refuse it instead. pause: seconds each record takes."""
    tell("enter")
    if pause:
        time.sleep(pause)
    if record["deed"]:
        _obey(record, harmless)
    tell("leave")
    return record


def _obey(record: Record, harmless: bool) -> None:
    if harmless or record["deed"] == "raise":
        raise ValueError(record["deed"])
    die(record["deed"])


@stage
class Numbered:
    """Adds the number of records so far; gives the sum at the end."""

    def __init__(self) -> None:
        self.count = 0

    def process(self, record: Record) -> Record:
        self.count += 1
        return {**record, "value": record["value"] * 10_000 + self.count}

    def flush(self) -> Iterator[Record]:
        tell("flush")
        for number in range(3):
            yield {"key": "end", "value": self.count + number, "deed": ""}

    def snapshot(self) -> int:
        return self.count

    def restore(self, data: int) -> None:
        self.count = data


@stage
class Summed:
    """Lets every sixteenth line pass; gives number and checksum of all of them at the end."""

    def __init__(self) -> None:
        self.count = self.sum = 0

    def process(self, line: str) -> str | None:
        self.count += 1
        self.sum = crc32(line.encode(), self.sum)
        return None if self.count % 16 else line

    def flush(self) -> Iterator[str]:
        yield f"{self.count} {self.sum:08x}"

    def snapshot(self) -> list[int]:
        return [self.count, self.sum]

    def restore(self, data: list[int]) -> None:
        self.count, self.sum = data


@stage
class Fragile:
    """Its first worker dies before any record. mark: a file that says that it has."""

    def __init__(self, *, mark: str) -> None:
        self.mark = mark

    def setup(self) -> None:
        if self.mark:
            try:
                os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            die("kill")

    def process(self, record: Record) -> Record:
        return record


@stage(state=True)
class Forgetful:
    """Adds the number of records so far. Has state without a snapshot."""

    def __init__(self) -> None:
        self.count = 0

    def process(self, record: Record) -> Record:
        self.count += 1
        return {**record, "value": record["value"] * 100 + self.count % 97}
