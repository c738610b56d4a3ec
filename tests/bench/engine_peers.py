"""The job of engines.py in libraries that are engines themselves: Ray Data and datatrove's executor.

Both run the three stages of a record in one process, one after the other: they have no hops between stages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from measure import CORES


class Measured(NamedTuple):
    """Seconds to the first result, from there to the end, and MiB of all processes together."""

    first: float
    rest: float
    memory: float


def one(record: int) -> int:
    return record + 1


def text(record: int) -> str:
    return f"{record:0100d}"


def length(record: str) -> int:
    return len(record)


def ray_data(data: Any, records: int, frame: int, held: Callable[[], float]) -> Measured:
    """A block of the data is a frame. Batches are lists of numbers: a dict for each row would cost more."""

    def each(function: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda batch: {"id": [function(record) for record in batch["id"].tolist()]}

    began = time.monotonic()
    flow = data.range(records, override_num_blocks=records // frame)
    for stage in (one, text, length):
        flow = flow.map_batches(each(stage), batch_size=None, batch_format="numpy")
    first, memory, seen = 0.0, 0.0, 0
    for batch in flow.iter_batches(batch_size=frame, batch_format="numpy"):
        first = first or time.monotonic()
        seen += len(batch["id"])
        if not memory and seen >= records // 2:
            memory = held()
    assert seen == records, seen
    return Measured(first - began, time.monotonic() - first, memory)


class Peak(threading.Thread):
    """Looks at the memory while others work."""

    def __init__(self, held: Callable[[], float]) -> None:
        super().__init__(daemon=True)
        self._held, self._over, self.memory = held, threading.Event(), 0.0

    def run(self) -> None:
        while not self._over.wait(0.2):
            self.memory = max(self.memory, self._held())

    def end(self) -> None:
        self._over.set()
        self.join()


def datatrove(place: Path, records: int, held: Callable[[], float]) -> Measured:
    """It has no frames: a task is a process that takes its share of the records one by one."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor

    def numbers(data: Any, rank: int, world_size: int) -> Iterator[Document]:
        for number in range(rank, records, world_size):
            yield Document("", str(number), metadata={"n": number})

    def each(function: Callable[[Any], Any]) -> Callable[..., Iterator[Document]]:
        def step(data: Iterator[Document], rank: int, world_size: int) -> Iterator[Document]:
            for document in data:
                document.metadata["n"] = function(document.metadata["n"])
                yield document

        return step

    def counted(data: Iterator[Document], rank: int, world_size: int) -> Iterator[Document]:
        seen = 0
        for document in data:
            if not seen:
                (place / f"first.{rank}").write_text(str(time.monotonic()))  # one clock for all processes
            seen += 1
            yield document
        (place / f"seen.{rank}").write_text(str(seen))

    began, peak = time.monotonic(), Peak(held)
    peak.start()
    steps = [numbers, *map(each, (one, text, length)), counted]
    LocalPipelineExecutor(
        steps, tasks=CORES, workers=CORES, logging_dir=str(place / "logs"), skip_completed=False
    ).run()
    ended = time.monotonic()
    peak.end()
    first = min(float(path.read_text()) for path in place.glob("first.*"))
    assert sum(int(path.read_text()) for path in place.glob("seen.*")) == records
    return Measured(first - began, ended - first, peak.memory)
