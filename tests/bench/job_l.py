"""Job L, columns: Parquet → compute → filter → Parquet, as batches, as records, and beside scripts that do the same.

Each contender runs in a process of its own, and counts from its start of the work, imports of libraries included. What
a run of ours costs to begin (processes, journal) is in its time. CPU seconds are those of all its processes.

usage: python job_l.py [--quick]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import columns
from files import folder
from measure import HERE, Outcome, Row, elsewhere, in_turns, kilo, present, rates, ratios, spread, version_of

BATCHES, RECORDS = "batches", "records"
STAGES = {BATCHES: ("compute", "keep"), RECORDS: ("compute_row", "keep_row")}
FEWER = 10
"""Records are so many times fewer than rows in batches, or they would take the whole time."""

AIMS = {columns.PYARROW: "0.8 ×"}


def ours(place: Path, stages: str, rows: int) -> Outcome:
    """A run of the command from file to file."""
    used = "".join(f"  - {{use: 'column_stages:{name}'}}\n" for name in STAGES[stages])
    config = place / f"{stages}.yaml"
    config.write_text(
        f"version: 1\nsource: {place}/in.parquet\nstages:\n{used}sink: {place}/ours.parquet\nrun: {{journal: off}}\n"
    )
    before, began = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "stagerunner", "run", str(config), "-q", "--progress", "none"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(HERE)})
    after, seconds = os.times(), time.perf_counter() - began
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Outcome(rows, seconds, cpu)


def script(place: Path, name: str, rows: int) -> Outcome:
    found = elsewhere("columns.py", name, str(place), str(rows))
    assert found is not None, name
    return found


def rows(quick: bool, number: int = 0, rounds: int = 0) -> Iterator[Row]:
    number, rounds = number or (4_000_000 if quick else 16_000_000), rounds or (3 if quick else 7)
    with folder() as large, folder() as small:
        columns.make(large / "in.parquet", number)
        columns.make(small / "in.parquet", number // FEWER)
        contenders: dict[str, Callable[[], Outcome]] = {
            BATCHES: partial(ours, large, BATCHES, number),
            RECORDS: partial(ours, small, RECORDS, number // FEWER),
        }
        for name, (distribution, _) in columns.SCRIPTS.items():
            if version_of(distribution):
                contenders[name] = partial(script, large, name, number)
        came = in_turns(contenders, rounds)
        _compare(large, small, [name for name in contenders if name in columns.SCRIPTS])
    mine = came.pop(BATCHES)
    yield _row("batches against records", mine, RECORDS, came.pop(RECORDS), "10 ×")
    for name, theirs in came.items():
        yield _row("batches, whole run", mine, name, theirs, AIMS.get(name, "–"))


def _row(what: str, mine: list[Outcome], name: str, theirs: list[Outcome], aim: str) -> Row:
    cpu = spread([a.cpu / a.amount / (b.cpu / b.amount) for a, b in zip(mine, theirs, strict=True)]).text()
    return Row(
        f"{what} (CPU a row: {cpu} ×)",
        kilo(rates(mine)),
        f"{name}: {kilo(rates(theirs))}",
        f"{ratios(mine, theirs).text()} ×",
        aim,
    )


def _compare(large: Path, small: Path, scripts: list[str]) -> None:
    """All must have written the same rows; some don't keep their order. Raises AssertionError."""
    import pyarrow.parquet as pq

    ours = pq.read_table(large / "ours.parquet")
    for name in scripts:
        theirs = pq.read_table(large / columns.OUT.format(name)).select(ours.column_names)
        assert theirs.sort_by("id").cast(ours.schema).equals(ours), name
    columns.pyarrow_loop(str(small / "in.parquet"), str(small / "expected.parquet"))
    found, expected = (pq.read_table(small / name) for name in ("ours.parquet", "expected.parquet"))
    assert found.cast(expected.schema).equals(expected), RECORDS


if __name__ == "__main__":
    present("L. Columns: Parquet → compute → filter → Parquet, rows/s", rows)
