"""Job C: frames of 8 MB through three stages: forwarded, touched (`x + 1`), and 8 MB of `bytes`.

Against the same chain over `Connection.send`; against gpupipe and SPDL, which pass arrays through shared memory; and
against the copy alone, which is needed to forward the frames of a caller.

usage: python job_c.py [--quick]                 python job_c.py NAME KIND COUNT        one run, its Outcome as JSON
"""

from __future__ import annotations

import itertools
import mmap
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy
import peers
from measure import Outcome, Row, elsewhere, present, rates, ratios, tell
from transforms import peek, plus_one, same

SIZE = 8 * 2**20
DISTINCT = 16
KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "forwarded": (peek, "20 ×"),
    "touched": (plus_one, "6 ×"),
    "bytes": (same, "5 ×"),
}
OURS, SENDS, COPIES = "stagerunner", "Connection.send", "the copy alone"
BLOCKS = 4


class Frames:
    """So many frames, one after the other, made before the first is given. Picklable, for gpupipe."""

    def __init__(self, kind: str, count: int) -> None:
        self.kind = kind
        self.count = count

    def __call__(self) -> Iterator[Any]:
        arrays = [numpy.full(SIZE, number, dtype=numpy.uint8) for number in range(DISTINCT)]
        frames = [array.tobytes() if self.kind == "bytes" else array for array in arrays]
        for number in range(self.count):
            yield frames[number % DISTINCT]


def copies(functions: peers.Functions, items: peers.Items, setup: peers.Setup = None) -> Iterator[Any]:
    """The bound: each frame is copied into shared memory, into four blocks in turn, and no message is sent."""
    shared, blocks = memoryview(mmap.mmap(-1, BLOCKS * SIZE)), itertools.cycle(range(BLOCKS))
    for frame in items():
        start = next(blocks) * SIZE
        shared[start : start + SIZE] = memoryview(frame)
        yield shared[start : start + SIZE]


CONTENDERS: dict[str, tuple[str, peers.Chain]] = {
    OURS: ("stagerunner", peers.stagerunner),
    SENDS: ("os", peers.sends),
    "gpupipe": ("pipe", partial(peers.gpupipe, queued=8, stats_interval=0, raise_errors=True)),
    "SPDL": ("spdl", peers.spdl),
    COPIES: ("os", copies),
}
QUICK = {OURS, "gpupipe", COPIES}
"""They get more frames: the first few, into memory that is new, take as long as fifty others."""


def measured(name: str, kind: str, count: int) -> Outcome:
    """amount: frames after the first, for neither start nor end counts. Raises if one is missing or changed."""
    function, _ = KINDS[kind]
    seen, total, first, last = 0, 0, 0.0, 0.0
    for frame in CONTENDERS[name][1]([function] * 3, Frames(kind, count), None):
        first = first or time.perf_counter()
        if len(frame) != SIZE or frame[0] != frame[-1]:
            raise AssertionError("not the frame that was sent")
        seen, total = seen + 1, total + int(frame[0])
        if seen == count:
            last = time.perf_counter()
    added = 3 * count if kind == "touched" else 0
    if seen != count or total != sum(number % DISTINCT for number in range(count)) + added:
        raise AssertionError(f"{seen} of {count} frames, or not the same ones")
    return Outcome(count - 1, last - first)


def rows(quick: bool) -> Iterator[Row]:
    count, rounds = (24, 2) if quick else (60, 7)
    for kind, (_, aim) in KINDS.items():
        outcomes: dict[str, list[Outcome | None]] = {}
        for _ in range(rounds):
            for name in CONTENDERS:
                if peers.installed(CONTENDERS[name][0]) and (name != COPIES or kind == "forwarded"):
                    some = str(count * 5 if name in QUICK else count // 3 if name == "SPDL" else count)
                    outcomes.setdefault(name, []).append(elsewhere("job_c.py", name, kind, some, limit=60))
        yield from _compared(kind, aim, outcomes)


def _compared(kind: str, aim: str, outcomes: dict[str, list[Outcome | None]]) -> Iterator[Row]:
    mine = outcomes.pop(OURS)
    for name, theirs in outcomes.items():
        pairs = [(one, other) for one, other in zip(mine, theirs, strict=True) if one and other]
        if not pairs:
            yield Row(f"8 MB, three stages, {kind}", "", f"{name}: did not finish", "–", "1 ×")
            continue
        ours, others = [one for one, _ in pairs], [other for _, other in pairs]
        yield Row(
            f"8 MB, three stages, {kind}",
            rates(ours).text("{:.0f}") + " frames/s",
            f"{name}: {rates(others).text('{:.0f}')} frames/s",
            ratios(ours, others).text("{:.1f}") + " ×",
            {SENDS: aim, COPIES: "–"}.get(name, "1 ×"),
        )


def main(arguments: list[str]) -> None:
    if len(arguments) == 3:
        tell(measured(arguments[0], arguments[1], int(arguments[2])))
    else:
        present("C. Frames of 8 MB", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
