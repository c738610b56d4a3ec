"""Job I: memory. Ten gigabytes of lines go through a chain whose sink is slower than everything before it.

Proportional set sizes are looked at five times a second, from READY on; what a process has grown by then is held
against the bounds of promise P7: the parent at most 2 × window + 16 MiB, a worker at most 8 MiB + its frames.

usage: python job_i.py [--quick]
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import files
from measure import Memory, Row, memory_of, present, say

import stagerunner
from stagerunner.events import WorkerReady

LINES, LINE = 100_000, 1000
"""Lines of a file of the input, and bytes of a line; all files are one."""

WINDOW = 64 * 2**20
FRAMES = 4 * 256 * 2**10
"""What a worker's frames may take: one that comes in and one that goes out, as records and as bytes."""

CONFIG = """
version: 1
source: {place}/in/*.txt
stages: [text.strip, {{use: text.upper, workers: 2}}, text.strip]
sink: {{use: "slow:Slow"}}
run: {{window: 64MiB, fuse: off}}
"""


class Watch:
    """PSS of the parent and of each worker: when it was ready, and the most that was seen since."""

    def __init__(self) -> None:
        self.first: dict[int, int] = {}
        self.most: dict[int, int] = {}
        self._over = threading.Event()

    def hear(self, event: Any) -> None:
        if isinstance(event, WorkerReady):
            for pid in (event.pid, os.getpid()):
                self.first.setdefault(pid, memory_of(pid).pss)

    @contextmanager
    def going(self) -> Iterator[None]:
        """Look at the memory while the body runs."""
        looking = threading.Thread(target=self._look, daemon=True)
        looking.start()
        yield
        self._over.set()
        looking.join()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            for pid in list(self.first):
                self.most[pid] = max(self.most.get(pid, 0), memory_of(pid).pss)

    def growth(self, pid: int) -> Memory:
        """pss: by how much it grew. rss: its PSS when it was ready."""
        return Memory(max(0, self.most[pid] - self.first[pid]), self.first[pid])


def prepared(place: Path, count: int) -> None:
    """`count` files, links to the first."""
    (place / "in").mkdir()
    with (place / "in" / "0.txt").open("w") as file:
        file.writelines(f"{number:08d} {'x' * (LINE - 10)}\n" for number in range(LINES))
    for number in range(1, count):
        os.link(place / "in" / "0.txt", place / "in" / f"{number}.txt")


def rows(quick: bool) -> Iterator[Row]:
    count = 10 if quick else 100
    with files.folder() as place:
        prepared(place, count)
        watch = Watch()
        with watch.going():
            summary = stagerunner.run(CONFIG.format(place=place), listener=watch.hear)
    if summary.records["out"] != count * LINES:
        raise AssertionError(f"{summary.records} of {count * LINES:,} lines")
    say(f"{summary.seconds:.0f} s")
    workers = [watch.growth(pid) for pid in watch.first if pid != os.getpid()]
    what = f"{count * LINES * LINE / 1e9:g} GB at 150 MB/s, 4 workers: PSS at READY, and by how much it grew at most"
    yield _row(f"{what}; parent", watch.growth(os.getpid()), 2 * WINDOW + 16 * 2**20)
    yield _row("the same; the worker that grew most", max(workers), 8 * 2**20 + FRAMES)


def _row(what: str, memory: Memory, bound: int) -> Row:
    share = f"{memory.pss / bound:.2f} of the bound"
    return Row(
        what, f"{memory.rss / 2**20:.1f} + {memory.pss / 2**20:.1f} MiB", "", share, f"+ {bound / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    present("I. Memory behind a slow sink", rows)
