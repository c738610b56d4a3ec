"""What an engine costs: records per second by frame size, cost of a frame, time to the first result, memory.

usage: python tests/bench/engines.py [--quick] [--docs FILE] [process threads ray ray-data datatrove …]

The job: numbers through three stages that do next to nothing, so that what is measured is the way of a frame. Beside it
the same job in Ray Data and in datatrove's executor. Each engine has an interpreter of its own; the start of Ray's
cluster is told apart. An engine whose distribution isn't installed is left out.

--docs: put the table between the marks in this page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cluster
import engine_peers
from engine_peers import Measured
from measure import descendants, machine, memory_of, put_between, say, version_of

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
FRAMES = {10: 500, 100: 400, 1000: 150, 5000: 40}
"""Frames of each size: enough to measure, few enough to wait for."""

QUICK = {10: 300, 1000: 100}

NEEDS = {"process": "", "threads": "", "ray": "stagerunner-ray", "ray-data": "ray", "datatrove": "datatrove"}
"""The distribution that each needs."""

HEAD = """| engine | records in a frame | records/s | ms a frame, three stages | first result | memory, all processes |
|---|---|---|---|---|---|"""


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


def measured(folder: Path, engine: str, frame: int, records: int) -> Measured:
    """One run in one of our engines."""
    began = time.monotonic()
    with chain(folder, engine, records, frame).run() as results:
        next(iter(results))
        first = time.monotonic()
        memory, seen = 0.0, 1
        for _ in results:
            seen += 1
            if seen == records // 2:
                memory = held()
        return Measured(first - began, time.monotonic() - first, memory)


def held() -> float:
    """MiB that this process and everything below it hold, shared memory counted once."""
    own = int(Path("/proc/self").resolve().name)
    return sum(memory_of(pid).pss for pid in [own, *descendants(own)]) / 2**20


# One engine, in an interpreter of its own


def lines(engine: str, frames: dict[int, int]) -> Iterator[str]:
    """The rows of the table for one engine. Its first run warms up, where it goes on living between runs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="engines-")))
        if engine == "datatrove":
            records = max(size * count for size, count in frames.items())
            yield line(engine, 0, 1, records, engine_peers.datatrove(folder, records, held))
            return
        began = time.monotonic()
        if engine == "ray":
            from stagerunner_ray import session

            stack.enter_context(session())
        elif engine == "ray-data":
            data = stack.enter_context(cluster.ray_data(folder))
        start = time.monotonic() - began
        for warm, (size, count) in enumerate([(10, 20), *frames.items()]):
            records = size * count
            if engine == "ray-data":
                found = engine_peers.ray_data(data, records, size, held)
            else:
                found = measured(folder, engine, size, records)
            if warm:
                yield line(engine, size, count, records, found, start if "ray" in engine else 0)


def line(engine: str, size: int, frames: int, records: int, found: Measured, start: float = 0) -> str:
    each = f"{1000 * found.rest / frames:.2f}" if size else "–"
    first = f"{found.first:.2f} s" + (f", and {start:.1f} s before for the cluster" if start else "")
    return f"| {engine} | {size or '–'} | {records / found.rest:,.0f} | {each} | {first} | {found.memory:.0f} MiB |"


# All


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Measure what engines cost.")
    parser.add_argument("engines", nargs="*", help="all that are installed, if none is named")
    parser.add_argument("--quick", action="store_true", help="two sizes of frames, and fewer of them")
    parser.add_argument("--docs", type=Path, help="a page with marks between which the table is put")
    parser.add_argument("--here", action="store_true", help="one engine, in this interpreter")
    chosen = parser.parse_args()
    if chosen.here:
        for row in lines(chosen.engines[0], QUICK if chosen.quick else FRAMES):
            print(row, flush=True)
        return
    engines = chosen.engines or [name for name, needed in NEEDS.items() if not needed or version_of(needed)]
    table = [HEAD]
    print(HEAD, flush=True)
    for engine in engines:
        table.append(elsewhere(engine, ["--quick"] * chosen.quick))
        print(table[-1], flush=True)
    if chosen.docs is not None:
        put_between(chosen.docs, "\n".join([machine(), "", *table]))


def elsewhere(engine: str, arguments: list[str]) -> str:
    """The rows of an engine; if it fails, a row that says so, and the others continue."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--here", *arguments, engine]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    say(f"{engine}: {time.monotonic() - began:.0f} s")
    failed = f"\n| {engine} | failed: exit {ended.returncode} | | | | |" if ended.returncode else ""
    return (ended.stdout.strip() + failed).strip()


if __name__ == "__main__":
    main()
