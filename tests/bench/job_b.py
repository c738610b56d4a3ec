"""Job B: a CPU-bound stage with two workers, order kept: what of two cores' time the transform itself had.

Each record says how much of its thread's own CPU it wants (0.2 to 3 ms), and how much it had: the sum of that over
2 × wall. Neither the parent's work nor any waiting counts as use. The heavy tail: 1 record in 50 takes 50 ms.
The ideal is measured beside it: two processes with half of the records each and nothing to pass on.

usage: python job_b.py [--quick]                 python job_b.py NAME KIND SECONDS      one run, its Outcome as JSON
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import peers
from measure import CORES, Outcome, Row, elsewhere, present, spread, tell
from transforms import burn

Record = dict[str, Any]

CONFIG = f"""
version: 1
stages: [{{use: "transforms:burn", workers: {CORES}}}]
"""
TAIL = 50.0
OFTEN = 50

KINDS = {"even": "0.2–3 ms", "tail": "1 in 50 takes 50 ms", "periodic": "each 50th takes 50 ms"}
AIMS = {"even": "0.92 ×", "tail": "0.88 ×", "periodic": "–"}


def wanted(kind: str, seconds: float) -> list[Record]:
    """Records that want so many seconds in all, of each kind always the same."""
    dice, records, total = random.Random(7), [], 0.0
    while total < seconds * 1000:
        heavy = {"even": False, "tail": dice.random() < 1 / OFTEN, "periodic": len(records) % OFTEN == OFTEN - 1}[kind]
        ms = TAIL if heavy else dice.uniform(0.2, 3)
        records.append({"id": len(records), "ms": ms})
        total += ms
    return records


def ours(records: list[Record]) -> Iterable[Record]:
    import stagerunner

    return stagerunner.load(CONFIG).run(records)


def pool(records: list[Record], chunk: int) -> Iterator[Record]:
    with peers.FORK.Pool(CORES) as workers:
        yield from workers.imap(burn, records, chunksize=chunk)


def mpire(records: list[Record]) -> Iterator[Record]:
    return peers.mpire([burn], lambda: records, chunk=4)


def joblib(records: list[Record]) -> Iterator[Record]:
    return peers.joblib([burn], lambda: records)


def pypeln(records: list[Record]) -> Iterator[Record]:
    import pypeln as library

    stage = library.process.map(burn, records, workers=CORES, maxsize=64)
    return iter(library.process.ordered(stage, maxsize=64))


def spdl(records: list[Record]) -> Iterator[Record]:
    from concurrent.futures import ProcessPoolExecutor

    from spdl.pipeline import PipelineBuilder

    with ProcessPoolExecutor(CORES, peers.FORK) as executor:
        builder = PipelineBuilder().add_source(records)
        builder = builder.pipe(burn, executor=executor, concurrency=CORES, output_order="input")
        pipeline = builder.add_sink(64).build(num_threads=1)
        with pipeline.auto_stop():
            yield from pipeline


def ideal(records: list[Record]) -> Iterator[Record]:
    """Two processes, the heaviest records dealt in turn; what they used comes back at the end, in order."""
    dealt = sorted(records, key=lambda record: -record["ms"])
    with peers.FORK.Pool(CORES) as workers:
        done = workers.map(_all, [dealt[number::CORES] for number in range(CORES)], chunksize=1)
    return iter(sorted((record for part in done for record in part), key=lambda record: record["id"]))


def _all(records: list[Record]) -> list[Record]:
    return [burn(record) for record in records]


OURS, IDEAL = "stagerunner", "ideal"
CONTENDERS: dict[str, Callable[[list[Record]], Iterable[Record]]] = {
    OURS: ours,
    IDEAL: ideal,
    "Pool.imap, chunksize=1": partial(pool, chunk=1),
    "Pool.imap, chunksize=4": partial(pool, chunk=4),
    "mpire, chunk_size=4": mpire,
    "joblib, generator": joblib,
    "SPDL, ProcessPoolExecutor": spdl,
    "pypeln, ordered": pypeln,
}
SLOW = {"joblib, generator", "SPDL, ProcessPoolExecutor", "pypeln, ordered"}
MODULES = {"mpire": "mpire", "joblib": "joblib", "SPDL": "spdl", "pypeln": "pypeln"}


def measured(name: str, kind: str, seconds: float) -> Outcome:
    """amount: seconds of CPU the transform had. Raises if records are missing or out of order."""
    records, began, used, seen = wanted(kind, seconds), time.perf_counter(), 0, 0
    for record in CONTENDERS[name](records):
        if record["id"] != seen:
            raise AssertionError(f"record {record['id']} came as number {seen}")
        seen += 1
        used += record["used"]
    wall = time.perf_counter() - began
    if seen != len(records):
        raise AssertionError(f"{seen} of {len(records)} records")
    return Outcome(used / 1e9, wall)


def rows(quick: bool) -> Iterator[Row]:
    here = [name for name in CONTENDERS if peers.installed(MODULES.get(name.split(",")[0], "os"))]
    for kind in ("even", "tail") if quick else KINDS:
        shares: dict[str, list[float]] = {name: [] for name in here}
        for _ in range(1 if quick or kind == "periodic" else 7):
            for name in here:
                outcome = elsewhere("job_b.py", name, kind, _seconds(name, quick), limit=120)
                if outcome is not None:
                    shares[name].append(100 * outcome.rate / CORES)
        yield from _compared(kind, shares)


def _seconds(name: str, quick: bool) -> str:
    """CPU seconds of the records: the slow ones get fewer."""
    return "2" if quick else "4" if name in SLOW else "8"


def _compared(kind: str, shares: dict[str, list[float]]) -> Iterator[Row]:
    mine = shares.pop(OURS)
    what = f"{KINDS[kind]}, {CORES} workers: share of {CORES} cores"
    for name, theirs in shares.items():
        if len(theirs) != len(mine):
            yield Row(what, "", f"{name}: failed", "–", "1 ×")
            continue
        ratio = spread([one / other for one, other in zip(mine, theirs, strict=True)])
        yield Row(what, percent(mine), f"{name}: {percent(theirs)}", f"{ratio.text()} ×", _aim(kind, name))


def _aim(kind: str, name: str) -> str:
    return AIMS[kind] if name == IDEAL else "1 ×"


def percent(shares: list[float]) -> str:
    return spread(shares).text("{:.1f}") + " %"


def main(arguments: list[Any]) -> None:
    if len(arguments) == 3:
        tell(measured(arguments[0], arguments[1], float(arguments[2])))
    else:
        present("B. A CPU-bound stage, two workers, order kept", rows)


if __name__ == "__main__":
    main(sys.argv[1:])
