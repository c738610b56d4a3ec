"""What an engine costs: records per second by frame size, cost of a frame, time to the first result, memory.

    python tests/bench/engines.py [process threads ray …]

The job: numbers through three stages that do next to nothing, so that what is measured is the way of a frame. The start
of Ray's cluster is told apart.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import stagerunner

PARTS = """
from stagerunner import stage

@stage
def one(record):
    return record + 1

@stage
def text(record):
    return f"{record:0100d}"

@stage
def length(record):
    return len(record)
"""
SIZES = (10, 100, 1000, 5000)
FRAMES = {10: 500, 100: 400, 1000: 150, 5000: 40}
"""Frames of each size: enough to measure, few enough to wait for."""


def chain(folder: Path, engine: str, records: int, frame: int) -> stagerunner.Chain:
    """The job in this engine."""
    (folder / "parts.py").write_text(PARTS)
    config: dict[str, Any] = {
        "version": 1,
        "plugins": ["./parts.py"],
        "source": {"use": "range", "with": {"stop": records}},
        "stages": ["one", "text", "length"],
        "run": {"engine": engine, "frame": frame},
    }
    (folder / "chain.yaml").write_text(json.dumps(config))
    return stagerunner.load(str(folder / "chain.yaml"))


def measured(folder: Path, engine: str, frame: int) -> tuple[float, float, float]:
    """Seconds to the first result, seconds from there to the end, and MiB of all processes of this session."""
    records = frame * FRAMES[frame]
    began = time.monotonic()
    with chain(folder, engine, records, frame).run() as results:
        next(iter(results))
        first = time.monotonic()
        memory, seen = 0.0, 1
        for _ in results:
            seen += 1
            if seen == records // 2:
                memory = held()
        return first - began, time.monotonic() - first, memory


def held() -> float:
    """MiB that this process and everything below it hold, shared memory counted once."""
    parents, total = {}, 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    own = {int(Path("/proc/self").resolve().name)}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    for pid in own:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return total


def main() -> None:
    """Print a table."""
    engines = sys.argv[1:] or ["process", "threads", "ray"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        print(f"{'engine':8} {'records/frame':>13} {'records/s':>10} {'ms/frame':>9} {'first s':>8} {'MiB':>6}")
        for engine in engines:
            if engine == "ray":
                from stagerunner_ray import session

                began = time.monotonic()
                stack.enter_context(session())
                print(f"ray: its cluster was there after {time.monotonic() - began:.1f} s")
            measured(folder, engine, 10)
            for size in SIZES:
                first, rest, memory = measured(folder, engine, size)
                rate, each = size * FRAMES[size] / rest, 1000 * rest / FRAMES[size]
                print(f"{engine:8} {size:13} {rate:10,.0f} {each:9.2f} {first:8.2f} {memory:6.0f}")


if __name__ == "__main__":
    main()
