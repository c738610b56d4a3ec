"""Job A: what passing records costs. Three stages that do nothing, a process each, over distinct dicts made in advance.

Against three chained `multiprocessing.Pool(1).imap(chunksize=1000)`, fork; against the bound, which is what pickle
alone would take on all cores for the four hops; against the peers, by default and tuned; and memory from 1 M to 10 M.

usage: python job_a.py [--quick]
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from measure import (
    CORES,
    Memory,
    Outcome,
    Row,
    clocked,
    descendants,
    elsewhere,
    in_turns,
    kilo,
    memory_of,
    present,
    rates,
    ratios,
    say,
    spread,
)
from peers import BEST, DEFAULTS, Dicts
from transforms import same

import stagerunner

CONFIG = """
version: 1
stages: [{use: "transforms:same"}, {use: "transforms:same"}, {use: "transforms:same"}]
run: {fuse: off}
"""
FRAME = 1000
HOPS = 4
FORK = multiprocessing.get_context("fork")
Records = list[dict[str, Any]]

OURS, POOLS, BOUND = "stagerunner", "Pool(1).imap × 3, chunksize=1000", "bound"

SLOW = ("pypeln", "SPDL", "SPDL, buffer_size=1000", "SPDL, one region (no hops)")
"""Peers that pass a few hundred to a few thousand records a second: they get fewer."""


def checked(results: Iterable[dict[str, Any]], count: int) -> int:
    """Count the records. Raises if any is missing or out of order, or if the sum of the scores is wrong."""
    seen, score = 0, 0.0
    for record in results:
        if record["id"] != seen:
            raise AssertionError(f"record {record['id']} came as number {seen}")
        seen += 1
        score += record["score"]
    if seen != count or score != count * (count - 1) / 4:
        raise AssertionError(f"{seen} of {count} records, or not the same ones")
    return seen


def ours(records: Records) -> Outcome:
    return clocked(lambda: checked(stagerunner.load(CONFIG).run(records), len(records)))


def pools(records: Records) -> Outcome:
    def work() -> int:
        with FORK.Pool(1) as first, FORK.Pool(1) as second, FORK.Pool(1) as third:
            results: Iterable[dict[str, Any]] = records
            for pool in (first, second, third):
                results = pool.imap(same, results, chunksize=FRAME)
            return checked(results, len(records))

    return clocked(work)


def bound(records: Records) -> Outcome:
    """Every core pickles and unpickles what the hops would; nothing is passed on."""
    frames = [records[start : start + FRAME] for start in range(0, min(len(records), 300_000), FRAME)]
    together, (reader, writer) = FORK.Barrier(CORES), FORK.Pipe(duplex=False)
    busy = [FORK.Process(target=_codec, args=(frames, together, writer)) for _ in range(CORES)]
    for process in busy:
        process.start()
    seconds = [reader.recv() for _ in busy]
    for process in busy:
        process.join()
    return Outcome(CORES * sum(map(len, frames)) / HOPS, sum(seconds) / CORES)


def _codec(frames: list[Records], together: Any, writer: Any) -> None:
    own = [pickle.loads(pickle.dumps(frame, 5)) for frame in frames]  # the parent's would be copied page by page
    together.wait()
    began = time.perf_counter()
    for frame in own:
        pickle.loads(pickle.dumps(frame, 5))
    writer.send(time.perf_counter() - began)


# Memory


class Peak:
    """The largest memory seen of the parent, and of the fork server and all workers together."""

    def __init__(self) -> None:
        self.parent = self.workers = Memory(0, 0)
        self.pids: list[int] = []

    def look(self) -> None:
        self.pids = self.pids or descendants(os.getpid())
        each = [memory_of(pid) for pid in self.pids]
        below = Memory(sum(memory.pss for memory in each), sum(memory.rss for memory in each))
        self.parent, self.workers = _larger(self.parent, memory_of(os.getpid())), _larger(self.workers, below)

    def text(self) -> str:
        return f"parent {_mib(self.parent)}, fork server and workers {_mib(self.workers)}"


def _larger(one: Memory, other: Memory) -> Memory:
    return Memory(max(one.pss, other.pss), max(one.rss, other.rss))


def _mib(memory: Memory) -> str:
    return f"{memory.pss / 2**20:.1f}/{memory.rss / 2**20:.0f}"


def remembered(count: int) -> Peak:
    """Run over a generator of `count` records, and look at the memory twenty times."""
    peak, every = Peak(), count // 20
    for number, _ in enumerate(stagerunner.load(CONFIG).run(iter(Dicts(count)))):
        if number % every == every // 2:
            peak.look()
    return peak


def memory(counts: Iterable[int]) -> Row:
    told = []
    for count in counts:
        say(f"memory over {count:,} records")
        with FORK.Pool(1) as fresh:
            told.append(f"{count / 1e6:g} M: {fresh.apply(_remembered, (count,))}")
    return Row("memory over a generator, peak MiB (PSS/RSS)", "; ".join(told), "", "", "flat")


def _remembered(count: int) -> str:
    return remembered(count).text()


# The table


def rows(quick: bool) -> Iterator[Row]:
    yield memory((300_000, 1_000_000) if quick else (1_000_000, 10_000_000))
    yield from against_pools(*((300_000, 5) if quick else (1_000_000, 7)))
    yield from against_peers(DEFAULTS, quick, "10")
    yield from against_peers(BEST, quick, "1")


def against_pools(count: int, rounds: int) -> Iterator[Row]:
    records = list(Dicts(count))
    contenders: dict[str, Callable[[], Outcome]] = {
        OURS: partial(ours, records),
        POOLS: partial(pools, records),
        BOUND: partial(bound, records),
    }
    came = in_turns(contenders, rounds)
    mine, cores = came[OURS], f"{CORES} cores"
    what = f"three no-op stages, {count / 1e6:g} M dicts"
    yield Row(what, kilo(rates(mine)), f"{POOLS}: {kilo(rates(came[POOLS]))}", times(mine, came[POOLS]), "3.5 ×")
    share = ratios(mine, came[BOUND])
    percent = spread([100 * share.median, 100 * share.low, 100 * share.high])
    yield Row(what, kilo(rates(mine)), f"pickle alone, {cores}: {kilo(rates(came[BOUND]))}", percents(percent), "75 %")
    cost = spread([1e6 * outcome.cpu / outcome.amount for outcome in mine])
    theirs = spread([1e6 * outcome.cpu / outcome.amount for outcome in came[POOLS]])
    yield Row(
        "CPU per record",
        cost.text() + " µs",
        f"{POOLS}: {theirs.text()} µs",
        f"{theirs.median / cost.median:.2f} × less",
    )


def against_peers(chains: dict[str, Any], quick: bool, aim: str) -> Iterator[Row]:
    """Each in a fresh interpreter, with ours run beside it; start and end are left out for all."""
    for name in chains:
        count = _count(name, quick)
        pairs = []
        for _ in range(1 if quick else 7):
            theirs = elsewhere("peers.py", name, str(count), limit=60 if quick else 300)
            mine = elsewhere("peers.py", OURS, str(200_000))
            if theirs and mine:
                pairs.append((mine, theirs))
        if not pairs:
            yield Row("the same", "", f"{name}: did not finish {count:,} records", "–", f"{aim} ×")
            continue
        mine, theirs = map(list, zip(*pairs, strict=True))
        yield Row(
            "the same, first result to last",
            kilo(rates(mine)),
            f"{name}: {kilo(rates(theirs))}",
            times(mine, theirs),
            f"{aim} ×",
        )


def _count(name: str, quick: bool) -> int:
    if name in SLOW:
        return 2_000
    few = name in DEFAULTS
    return (10_000 if few else 50_000) if quick else (15_000 if few else 250_000)


def times(mine: list[Outcome], theirs: list[Outcome]) -> str:
    return ratios(mine, theirs).text("{:.1f}") + " ×"


def percents(share: Any) -> str:
    return f"{share.median:.0f} % [{share.low:.0f}–{share.high:.0f}]"


if __name__ == "__main__":
    present("A. What passing records costs", rows)
