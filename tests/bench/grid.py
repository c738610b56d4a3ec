"""The grid: what a record costs × how large it is × the form of the stage × its workers; how near to ideal it gets.

From 1 ms on, a stage costs time asleep; below, CPU. Records are lines of a file, results go nowhere. Ideal is what the
plain script takes for the same lines and costs (a loop, lists, `asyncio.gather` with a semaphore): it is measured in
this run, as many of it side by side as the stage has workers. So that sleeping a millisecond takes 1.1, that a task
takes 20 µs, that a megabyte has to be read and decoded, and that four busy processes share two cores counts for both.
From 50 ms on, what the script sleeps is taken as said, and reading added. Each cell is timed from the first worker that
is set up to the last one that is closed: starting doesn't count.

usage: python grid.py [--quick] [--only plain,batch,async] [--least 1e-6] [--within 3600] [--seconds 1] [--json FILE]

`--least 1e-4` runs the 180 cells that are judged, in about eight minutes on a quiet machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import islice, product
from multiprocessing import get_context
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
MOST_BYTES, MOST_RECORDS = 4_000_000_000, 2_000_000
A_FILE = 50_000_000
"""Bytes of a file; a larger source is the same file under several names."""

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

    def records(self, seconds: float, base: Path) -> int:
        """Enough for so many seconds, and full lists; at least two rounds of all places."""
        enough = min(seconds / self.ideal(1, base), MOST_BYTES / self.size, MOST_RECORDS)
        step = self.batch * self.workers if self.form == "batch" else self.places
        return step * max(1 if self.cost >= 1 else 2, round(enough / step))

    def ideal(self, count: int, base: Path) -> float:
        """Seconds for so many records."""
        return count * scripted(self.form, self.cost, self.size, self.batch, self.workers, base)

    @property
    def judged(self) -> bool:
        return self.cost >= JUDGED

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

    def text(self) -> str:
        """ "97 %", in brackets if the cell isn't judged."""
        share = f"{100 * self.efficiency:.0f} %"
        return share if self.cell.judged else f"({share})"


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


def named_often(base: Path, size: int, count: int) -> str:
    """A pattern of files with so many lines together. Beyond A_FILE, all but the last are one file."""
    each = max(1, A_FILE // size)
    place = base / f"{size}-{count}"
    if not place.exists():
        place.mkdir()
        for number, start in enumerate(range(0, count, each)):
            (place / f"{number:04}.txt").hardlink_to(lines(base, size, min(each, count - start)))
    return f"{place}/*.txt"


LONG = 0.05
"""Seconds of sleep that are taken as said. Less is measured, for about twice as long."""


@cache
def scripted(form: str, cost: float, size: int, batch: int, workers: int, base: Path) -> float:
    """Seconds that so many plain scripts side by side take for a record: the best of three runs."""
    if cost >= LONG:
        bytes_alone = scripted("batch", 0.0, size, batch, workers, base)
        return cost / workers / CONCURRENCY if form == "async" else cost / workers + bytes_alone
    each = {"plain": 1, "batch": batch, "async": CONCURRENCY}[form]
    alone = max(1e-5, cost / CONCURRENCY if form == "async" and cost >= 1e-3 else cost)
    count = max(each, min(int(2 * LONG / alone), A_FILE // size) // each * each)
    path = lines(base, size, count)
    work = {"plain": partial(_loop, 1), "batch": partial(_loop, batch), "async": _gather}[form]
    return min(_side_by_side(workers, partial(work, path, cost)) for _ in range(3)) / (workers * count)


def _side_by_side(workers: int, work: Callable[[], None]) -> float:
    """Seconds from the first of so many processes that begins this work to the last that ends it."""
    context = get_context("fork")
    start, moments = context.Barrier(workers), context.Queue()

    def one() -> None:
        start.wait()
        began = time.monotonic()
        work()
        moments.put((began, time.monotonic()))

    processes = [context.Process(target=one) for _ in range(workers)]
    for process in processes:
        process.start()
    told = [moments.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return max(ended for _, ended in told) - min(began for began, _ in told)


def _loop(size: int, path: Path, cost: float) -> None:
    spend = time.sleep if cost >= 1e-3 else busy if cost else _nothing
    with path.open() as file:
        while texts := [line.rstrip("\n") for line in islice(file, size)]:
            spend(cost * len(texts))


def _nothing(seconds: float) -> None:
    """Reading costs as it is."""


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
    count = cell.records(seconds, base)
    log = base / "times"
    log.unlink(missing_ok=True)
    options = {"cost": cell.cost, "log": str(log)}
    module = "costing_async" if cell.form == "async" else "costing"
    settings: dict[str, Any] = {"workers": cell.workers}
    settings |= {"batch": {"batch": cell.batch}, "async": {"concurrency": CONCURRENCY}}.get(cell.form, {})
    config = {
        "version": 1,
        "source": {"use": "lines", "with": {"path": named_often(base, cell.size, count)}},
        "stages": [{"use": f"{module}:{cell.form.capitalize()}", "with": options, **settings}],
        "sink": "null",
        "run": {"journal": "off"},
    }
    ended = stagerunner.run(config)
    assert ended.records["out"] == count, ended
    moments = [int(line) for line in log.read_text().split()]
    took = (max(moments) - min(moments)) / 1e9
    return Result(cell, count, cell.ideal(count, base), took)


def cells(quick: bool, forms: tuple[str, ...], least: float) -> Iterator[Cell]:
    """least: seconds that a record costs, at least."""
    costs, sizes, workers = QUICK.values() if quick else (COSTS, SIZES, WORKERS)
    for size, form, cost, number in product(sizes, forms, costs, workers):
        if cost >= least:
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
            ran = [found.get(Cell(cost, size, form, number)) for number in workers]
            row = ["not run" if result is None else result.text() for result in ran]
            yield f"| {duration(cost)}, {amount(size)} | {' | '.join(row)} |"


def duration(seconds: float) -> str:
    power = max(-2, math.floor(math.log10(seconds) / 3 + 1e-9))
    return f"{seconds / 1000**power:g} {('µs', 'ms', 's')[power + 2]}"


def amount(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size // 1000} kB" if size < 10**6 else f"{size // 10**6} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description="How near to ideal is each cell of the grid?")
    parser.add_argument("--quick", action="store_true", help="36 of the 252 cells")
    parser.add_argument("--only", default=",".join(FORMS), help="forms, as plain,batch,async")
    parser.add_argument("--least", type=float, default=0.0, help="only cells of so many seconds a record, or more")
    parser.add_argument("--within", type=float, default=math.inf, help="begin no cell after so many seconds")
    parser.add_argument("--seconds", type=float, default=1.0, help="the least that a judged cell takes, if it is ideal")
    parser.add_argument("--json", type=Path, help="the figures of each cell, into this file")
    chosen = parser.parse_args()
    results: list[Result] = []
    began, asked = time.monotonic(), list(cells(chosen.quick, tuple(chosen.only.split(",")), chosen.least))
    with folder() as base:
        for number, cell in enumerate(asked, 1):
            if time.monotonic() - began > chosen.within:
                break
            share = 1.0 if cell.judged and not chosen.quick else 0.5
            results.append(measure(cell, base, share * chosen.seconds))
            last = results[-1]
            figures = f"{last.records:,} records, {last.seconds:.2f} s, {100 * last.efficiency:.0f} %"
            say(f"{number}/{len(asked)}, {time.monotonic() - began:.0f} s: {cell.name()}: {figures}")
    report(results, chosen.json)
    print(f"{time.monotonic() - began:.0f} s; {len(asked) - len(results)} of {len(asked)} cells not run")


def report(results: list[Result], path: Path | None) -> None:
    print(machine())
    print("\n".join(table(results)))
    judged = [result for result in results if result.cell.judged]
    short = sorted((result for result in judged if result.efficiency < GOOD), key=lambda result: result.efficiency)
    good = len(judged) - len(short)
    print(
        f"\n{good} of {len(judged)} cells reach {GOOD:.0%} of the ideal, of those that cost {duration(JUDGED)} or more."
        " The others are in brackets."
    )
    print(by("cost", judged, lambda cell: duration(cell.cost)))
    print(by("size", judged, lambda cell: amount(cell.size)))
    print(by("form", judged, lambda cell: cell.form))
    print(by("workers", judged, lambda cell: f"{cell.workers}"))
    print("met: every judged cell" if not short else f"NOT met: {len(short)} cells")
    for result in short:
        print(f"  {result.cell.name()}: {100 * result.efficiency:.0f} %")
    if path is not None:
        figures = [one.cell._asdict() | {"ideal": one.ideal, "seconds": one.seconds} for one in results]
        path.write_text(json.dumps(figures))


def by(what: str, results: list[Result], value: Callable[[Cell], str]) -> str:
    """ "by size: 10 B 40 of 45 · 1 kB 41 of 45": how many cells reach what they should."""
    total = Counter(value(result.cell) for result in results)
    good = Counter(value(result.cell) for result in results if result.efficiency >= GOOD)
    return f"by {what}: " + " · ".join(f"{name} {good[name]} of {number}" for name, number in total.items())


if __name__ == "__main__":
    main()
