"""The grid: what a record costs × how large it is × the form of the stage × its workers; how near to ideal it gets.

From 1 ms on, a stage costs time asleep; below, CPU. Records are lines of a file, results go nowhere. Ideal is what the
plain script takes for the same lines and costs (a loop, lists, `asyncio.gather` with a semaphore), divided by the
workers, or by the cores where there are fewer and it needs them. So that sleeping a millisecond takes 1.1, and that a
task takes 20 µs, counts for both. Each cell is timed from the first worker that is set up to the last one that is
closed: starting doesn't count.

usage: python grid.py [--quick] [--only plain,batch,async] [--seconds 1.5] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import islice, product
from pathlib import Path
from typing import Any, NamedTuple

from costing import busy
from files import folder
from measure import CORES, machine, say

import stagerunner

COSTS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
SIZES = (10, 1_000, 100_000, 1_000_000)
WORKERS = (1, 2, 4)
FORMS = ("plain", "batch", "async")
QUICK = {"costs": (1e-4, 1e-3, 0.1), "sizes": (10, 100_000), "workers": (1, 4)}

CONCURRENCY = 16
MOST_BYTES, MOST_RECORDS = 200_000_000, 1_000_000
GOOD, JUDGED = 0.9, 1e-4
"""A cell should reach this share of the ideal if a record costs at least so many seconds."""


class Cell(NamedTuple):
    """cost: seconds a record. size: bytes of it."""

    cost: float
    size: int
    form: str
    workers: int

    @property
    def waits(self) -> bool:
        return self.cost >= 1e-3

    @property
    def batch(self) -> int:
        """Records of a list: so many that a call takes no more than two seconds."""
        return max(2, min(32, int(2 / self.cost)))

    @property
    def places(self) -> int:
        """How many records can be worked on at the same moment."""
        slots = CONCURRENCY if self.form == "async" and self.waits else 1
        return (self.workers if self.waits else min(self.workers, CORES)) * slots

    def records(self, seconds: float) -> int:
        """Enough for so many seconds, and full lists; at least two rounds of all places."""
        enough = min(seconds * self.places / self.cost, MOST_BYTES / self.size, MOST_RECORDS)
        step = self.batch * self.workers if self.form == "batch" else self.places
        return step * max(1 if self.cost >= 1 else 2, round(enough / step))

    def ideal(self, count: int, base: Path) -> float:
        """Seconds for so many records."""
        at_most = min(CORES, self.workers)
        whole = scripted(self.form, self.cost, self.size, self.batch, base)
        cpu = scripted(self.form, 0.0, self.size, self.batch, base) if self.waits else whole
        return count * max(whole / (self.workers if self.waits else at_most), cpu / at_most)

    def name(self) -> str:
        return f"{duration(self.cost)} × {amount(self.size)} × {self.form} × {self.workers}"


class Result(NamedTuple):
    """ideal, seconds: what the cell should have taken, and what it took."""

    cell: Cell
    records: int
    ideal: float
    seconds: float

    @property
    def efficiency(self) -> float:
        return self.ideal / self.seconds


@cache
def lines(base: Path, size: int, count: int) -> Path:
    """A file of so many lines of so many bytes, the line's end included."""
    path = base / f"{size}-{count}.txt"
    if not path.exists():
        line = "x" * (size - 1) + "\n"
        with path.open("w") as file:
            for start in range(0, count, 1000):
                file.write(line * min(1000, count - start))
    return path


@cache
def scripted(form: str, cost: float, size: int, batch: int, base: Path) -> float:
    """Seconds a record that the plain script takes, the best of three."""
    if cost >= 0.05:
        return cost / (CONCURRENCY if form == "async" else 1)
    count = max(40, min(20_000, 50_000_000 // size, int(0.3 / max(cost, 1e-6))))
    path = lines(base, size, count)
    work = {"plain": partial(_loop, 1), "batch": partial(_loop, batch), "async": _gather}[form]
    return min(_timed(partial(work, path, cost)) for _ in range(3)) / count


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _loop(size: int, path: Path, cost: float) -> None:
    spend = time.sleep if cost >= 1e-3 else busy
    with path.open() as file:
        while texts := [line.rstrip("\n") for line in islice(file, size)]:
            spend(cost * len(texts))


def _gather(path: Path, cost: float) -> None:
    async def all_of() -> None:
        free = asyncio.Semaphore(CONCURRENCY)

        async def one(line: str) -> str:
            async with free:
                await asyncio.sleep(cost) if cost >= 1e-3 else busy(cost)
                return line.rstrip("\n")

        with path.open() as file:
            await asyncio.gather(*map(one, file))

    asyncio.run(all_of())


def measure(cell: Cell, base: Path, seconds: float) -> Result:
    count = cell.records(seconds)
    log = base / "times"
    log.unlink(missing_ok=True)
    options = {"cost": cell.cost, "log": str(log)}
    module = "costing_async" if cell.form == "async" else "costing"
    settings: dict[str, Any] = {"workers": cell.workers}
    settings |= {"batch": {"batch": cell.batch}, "async": {"concurrency": CONCURRENCY}}.get(cell.form, {})
    config = {
        "version": 1,
        "source": {"use": "lines", "with": {"path": str(lines(base, cell.size, count))}},
        "stages": [{"use": f"{module}:{cell.form.capitalize()}", "with": options, **settings}],
        "sink": "null",
        "run": {"journal": "off"},
    }
    ended = stagerunner.run(config)
    assert ended.records["out"] == count, ended
    moments = [int(line) for line in log.read_text().split()]
    return Result(cell, count, cell.ideal(count, base), (max(moments) - min(moments)) / 1e9)


def cells(quick: bool, forms: tuple[str, ...]) -> Iterator[Cell]:
    costs, sizes, workers = QUICK.values() if quick else (COSTS, SIZES, WORKERS)
    for size, form, cost, number in product(sizes, forms, costs, workers):
        yield Cell(cost, size, form, number)


def table(results: list[Result]) -> Iterator[str]:
    """A table for each form: efficiencies in per cent, a row for each cost and size, a column for each workers."""
    found = {result.cell: result for result in results}
    for form in dict.fromkeys(cell.form for cell in found):
        of_form = [cell for cell in found if cell.form == form]
        workers = sorted({cell.workers for cell in of_form})
        yield f"\n| {form}: a record | " + " | ".join(f"×{number}" for number in workers) + " |"
        yield "|---|" + "---|" * len(workers)
        for cost, size in sorted({(cell.cost, cell.size) for cell in of_form}):
            row = (found[Cell(cost, size, form, number)] for number in workers)
            yield (
                f"| {duration(cost)}, {amount(size)} | "
                + " | ".join(f"{100 * one.efficiency:.0f} %" for one in row)
                + " |"
            )


def duration(seconds: float) -> str:
    power = max(-2, math.floor(math.log10(seconds) / 3 + 1e-9))
    return f"{seconds / 1000**power:g} {('µs', 'ms', 's')[power + 2]}"


def amount(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size // 1000} kB" if size < 10**6 else f"{size // 10**6} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description="How near to ideal is each cell of the grid?")
    parser.add_argument("--quick", action="store_true", help="36 of the 252 cells")
    parser.add_argument("--only", default=",".join(FORMS), help="forms, as plain,batch,async")
    parser.add_argument("--seconds", type=float, default=1.5, help="the least that a cell takes, if it is ideal")
    parser.add_argument("--json", type=Path, help="the figures of each cell, into this file")
    chosen = parser.parse_args()
    results = []
    with folder() as base:
        for cell in cells(chosen.quick, tuple(chosen.only.split(","))):
            results.append(measure(cell, base, chosen.seconds / 2 if chosen.quick else chosen.seconds))
            last = results[-1]
            say(f"{cell.name()}: {last.records:,} records, {last.seconds:.2f} s, {100 * last.efficiency:.0f} %")
        report(results, chosen.json)


def report(results: list[Result], path: Path | None) -> None:
    print(machine())
    print("\n".join(table(results)))
    judged = [result for result in results if result.cell.cost >= JUDGED]
    short = sorted((result for result in judged if result.efficiency < GOOD), key=lambda result: result.efficiency)
    good = len(judged) - len(short)
    print(f"\n{good} of {len(judged)} cells of {duration(JUDGED)} or more reach {GOOD:.0%} of the ideal.")
    for result in short:
        print(f"  {result.cell.name()}: {100 * result.efficiency:.0f} %")
    if path is not None:
        figures = [one.cell._asdict() | {"ideal": one.ideal, "seconds": one.seconds} for one in results]
        path.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
