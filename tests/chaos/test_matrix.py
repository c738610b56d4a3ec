"""Every fault at every point of a worker's life: the run recovers, sets the record aside, or says which stage failed.

It never hangs, shows no traceback of ours, and leaves nothing behind.
"""

from __future__ import annotations

import json

import pytest
from chaos_support.case import Case
from chaos_support.matrix import ALL, HANGING, POSITIONS, RAISING, Cell, case_of, pairwise
from chaos_support.oracle import calm, left_over
from chaos_support.outputs import FILE, PACKED
from chaos_support.parallel import WIDTH, in_parallel, report
from chaos_support.running import Run

LEAST = 96
HANG = 45.0
"""Seconds after which a cell hangs. The longest ones are ten starts in a row that each take their whole time limit."""

pytestmark = [pytest.mark.reliability("crash matrix"), pytest.mark.timeout(900)]

AGAIN = "CHAOS_KEEP=1 pytest tests/chaos/test_matrix.py  # {item}"


def test_a_selection_has_every_pair():
    chosen = pairwise(ALL, LEAST)

    assert len(chosen) == len(set(chosen)) == LEAST >= 90


def test_every_fault_ends_as_it_should(folder, full, proved):
    def examine(cell: Cell) -> int:
        case = case_of(cell, folder / str(cell)).write()
        with Run(case) as run:
            code = run.wait(HANG)
        calm(run)
        left_over(case)
        assert outcome(cell, case, run, code) in expected(cell), f"{outcome(cell, case, run, code)}\n{run.said[-2000:]}"
        return run.summary.get("restarts", 0)

    cells = sorted(ALL if full else pairwise(ALL, LEAST), key=waits, reverse=True)
    restarts, failures = in_parallel(cells, examine, 2 * WIDTH)

    proved(cells=len(restarts), restarts=sum(restarts.values()))
    assert not failures, report(failures, AGAIN)


def waits(cell: Cell) -> float:
    """About how long it takes, for the longest to begin first: most of that is waiting for a time limit."""
    return (cell.fault in HANGING) * (10.0 if cell.times == "always" else 1.0)


def outcome(cell: Cell, case: Case, run: Run, code: int) -> str:
    """What a run came to, in a word; `wrong` says what is wrong."""
    stage = f"s{POSITIONS.index(cell.position)}"
    got = case.got()
    written = got.output
    if case.sink == "tee":
        written = got.output[FILE]
        if code in (0, 3) and written != got.output[PACKED]:
            return "wrong: the two outputs differ"
    values = [record["value"] for record in _records(written) if record["key"] == "a"]
    if code == 0:
        return "recovered" if values == list(range(40)) and not got.letters else f"wrong: {values}, {got.letters}"
    if code == 3:
        return _set_aside(cell, stage, values, [letter[0] for letter in got.letters])
    if code != 1:
        return f"wrong: exit {code}"
    if "closing" in run.said and values == list(range(40)):
        return "closing failed"
    return (
        "failed" if stage in run.said.partition("error[")[2] or _is_source(cell, run) else "wrong: which stage was it?"
    )


def _set_aside(cell: Cell, stage: str, values: list[int], stages: list[str]) -> str:
    everything = list(range(40))
    if cell.place == "flush" and values == everything and stages == [stage]:
        return "flush set aside"
    everything.remove(11)
    right = values == everything and stages == [named(cell)]
    return "record set aside" if right else f"wrong: {values}, {stages}"


def named(cell: Cell) -> str:
    """The stage that a record is set aside at. What a stage gives is copied there, so that is where it is unpickled
    first: what ends a process ends that one. What only raises lets the copy be, and raises in the stage behind it."""
    place = POSITIONS.index(cell.position)
    if cell.place == "pickle" and cell.position == "last":
        return "sink"
    if cell.place == "unpickle" and cell.position == "first":
        return "source"
    return f"s{place - 1}" if cell.place == "unpickle" and cell.fault not in RAISING else f"s{place}"


def _is_source(cell: Cell, run: Run) -> bool:
    return cell.place == "unpickle" and cell.position == "first" and "source failed" in run.said


def _records(output: bytes | None) -> list[dict[str, object]]:
    return [json.loads(line) for line in (output or b"").splitlines()]


def expected(cell: Cell) -> set[str]:
    """What is right, as the promises have it."""
    raises, once = cell.fault in RAISING, cell.times == "once"
    if cell.place in ("import", "setup"):
        return {"failed"} if raises or not once else {"recovered"}
    if cell.place == "close":
        return {"closing failed"} if raises else {"closing failed", "recovered"}
    if cell.place == "snapshot":
        return {"failed"} if raises or not once else {"recovered"}
    if cell.place == "flush":
        return {"flush set aside"} if raises else {"recovered"} if once else {"failed", "flush set aside"}
    if cell.place == "unpickle" and cell.position == "first" and raises:
        return {"failed"}  # nothing can be read after the record at which the source itself raises
    return {"recovered"} if once and not raises else {"record set aside"}
