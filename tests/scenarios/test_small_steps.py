"""However slow its records are, a chain gives each result as soon as it can: the first frames hold one record."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from gzip import compress

import pytest
from support.leaks import needs_proc
from support.waiting import wait_until

from stagerunner.journal import Journal

RECORDS = [str(number) for number in range(600)]


@pytest.mark.parametrize("suffix", ["txt", "txt.gz"])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_result_comes_before_the_second_record_is_done(project, suffix, workers):
    """600 short lines fit into one frame; the stage waits at the second until the first is with the caller."""
    project.plugin("""
        @stage
        def gate(record):
            if record != "0":
                wait_for("first")
            return record
    """)
    _write(project, f"in.{suffix}")

    with project.results({"use": "gate", "workers": workers}, source=f"in.{suffix}") as results:
        assert next(results) == "0"
        (project / "first").touch()
        assert list(results) == RECORDS[1:]


@pytest.mark.parametrize("workers", [1, 2])
def test_so_it_does_from_a_source_that_is_a_generator(project, workers):
    project.plugin("""
        @source
        def numbers():
            yield from range(600)
        @stage
        def gate(record):
            if record:
                wait_for("first")
            return record
    """)

    with project.results({"use": "gate", "workers": workers}, source="numbers") as results:
        assert next(results) == 0
        (project / "first").touch()
        assert list(results) == list(range(1, 600))


def test_two_workers_share_short_lines(project):
    project.plugin("""
        @stage
        def both(record):
            tell(f"worker-{os.getpid()}")
            if record != "0":
                wait_for("two")
            return record
    """)
    _write(project, "in.txt")

    with project.results({"use": "both", "workers": 2}, source="in.txt") as results:
        assert next(results) == "0"
        wait_until(lambda: len(list(project.folder.glob("worker-*"))) == 2)
        (project / "two").touch()
        assert list(results) == RECORDS[1:]


def _write(project, name: str) -> None:
    text = "".join(f"{record}\n" for record in RECORDS).encode()
    (project / name).write_bytes(compress(text) if name.endswith(".gz") else text)


@pytest.mark.parametrize("use", ["lines", "csv"])
def test_a_pipe_is_cut_as_small_as_its_records_are_slow(project, use):
    """All 600 lines come in one read; the last one without its newline."""
    project.plugin("""
        @stage
        def gate(record):
            number = record if isinstance(record, str) else record["number"]
            if number != "0":
                wait_for("first")
            return number
    """)
    config = project.config("gate", source={"use": use, "with": {"path": "-"}}, sink="stdout")
    lines = ["number", *RECORDS] if use == "csv" else RECORDS

    with project.start("run", str(config), stdin=subprocess.PIPE, stderr=None, text=True) as run:
        run.stdin.write("\n".join(lines))
        run.stdin.close()
        assert run.stdout.readline() == "0\n"
        (project / "first").touch()
        assert run.stdout.read().split() == RECORDS[1:]
    assert run.returncode == 0


SLICED = """
from stagerunner.evaluate.outcome import slices
slices.SLICE = 0  # so that each slow record is a slice: a test need not wait for time to pass

def slowly():
    "Long enough for one record to count as slow."
    until = time.perf_counter_ns() + 300_000
    while time.perf_counter_ns() < until:
        pass
"""


AWAITED = """
@stage
async def gate(record):
    import asyncio
    while int(record) >= 100 and not (Path(__file__).parent / f"pass {record}").exists():
        await asyncio.sleep(0.002)
    return record
"""

FORMS = {
    "async": AWAITED,
    "plain": "@stage\ndef gate(record: str) -> str:\n    passes(record)\n    return record",
    "filter": "@stage\ndef gate(record: str) -> str | None:\n    passes(record)\n    return record",
    "many": "@stage\ndef gate(record: str):\n    passes(record)\n    yield record",
    "lists": "@stage.batch\ndef gate(records: list[str]) -> list[str]:\n    passes(records[0])\n    return records",
}

GATE = """
def passes(record):
    "The first 100 records take 300 µs each, and each later one as long as nobody says that it may pass."
    slowly()
    if int(record) >= 100:
        wait_for(f"pass {record}")
"""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("run", [{}, {"frame": 300}])
def test_records_that_become_slow_in_the_middle_of_a_frame_leave_one_by_one(project, form, run):
    project.plugin(SLICED + GATE + FORMS[form])
    _write(project, "in.txt")
    gate = {"use": "gate"} | ({"batch": 1} if form == "lists" else {})

    with project.results("same", gate, "same", source="in.txt", run=run) as results:
        assert [next(results) for _ in range(100)] == RECORDS[:100]
        for record in RECORDS[100:150]:
            (project / f"pass {record}").touch()
            assert next(results) == record


def test_neighbours_that_share_a_worker_pass_slow_records_on_one_by_one(project):
    project.plugin(SLICED + GATE + FORMS["plain"])
    _write(project, "in.txt")

    with project.results("same", "gate", "same", source="in.txt", run={"fuse": "auto", "frame": 300}) as results:
        assert [next(results) for _ in range(100)] == RECORDS[:100]
        for record in RECORDS[100:110]:
            (project / f"pass {record}").touch()
            assert next(results) == record


def test_after_a_death_in_the_middle_of_a_frame_only_the_record_in_hand_is_evaluated_again(project):
    project.plugin(
        SLICED
        + """
def bill(name, record):
    with open(Path(__file__).parent / name, "a") as file:
        file.write(record + chr(10))

@stage
def paid(record):
    bill("paid", record)
    slowly()
    if record == "250":
        wait_for("delivered")
        if once("died"):
            os.kill(os.getpid(), signal.SIGKILL)
    count("paid")
    return record
"""
    )
    _write(project, "in.txt")

    with project.results("paid", source="in.txt", run={"frame": 1000}) as results:
        assert [next(results) for _ in range(250)] == RECORDS[:250]
        (project / "delivered").touch()
        assert list(results) == RECORDS[250:]

    bills = (project / "paid").read_text().split()
    assert sorted(bills, key=int) == sorted([*RECORDS, "250"], key=int)
    assert results.summary.stages[0].counters == {"paid": 600}
    assert results.summary.restarts == 1


BILLED = (
    SLICED
    + """
@stage
def paid(record):
    with open(Path(__file__).parent / "paid", "a") as file:
        file.write(record + chr(10))
    slowly()
    if record in ("200", "350"):
        wait_for({"200": "second life", "350": "third life"}[record])
    if record == "390":
        raise ValueError("not this one")
    return {"n": record}
"""
)


@needs_proc
@pytest.mark.parametrize("limit", [None, 400])
@pytest.mark.parametrize("sink", ["out.jsonl", "out.db"])
def test_a_resume_goes_on_in_the_middle_of_a_split(project, sink, limit):
    project.plugin(BILLED)
    _write(project, "in.txt")
    run = {"frame": 1000, "checkpoint": "1ms"}
    paid = {"use": "paid", "on_error": "dead_letter"}
    to = {"use": "sqlite", "with": {"path": sink, "table": "t"}} if sink == "out.db" else sink
    project.config(paid, source="in.txt", sink=to, dead_letter="dead.jsonl", run=run)
    command = ["run", "chain.yaml", "-q", "--allow-dead-letters", *([] if limit is None else ["-n", str(limit)])]

    killed = project.cli(*command, env=os.environ | {"STAGERUNNER_KILL_AT": "commit:2"})
    accepted = _journaled(project, f".{sink}.stagerunner") if sink == "out.jsonl" else 0
    (project / "second life").touch()
    resumed = project.cli(*command, "--resume", env=os.environ | {"STAGERUNNER_KILL_AT": "commit:1"})
    (project / "third life").touch()
    finished = project.cli(*command, "--resume")

    assert (killed.returncode, resumed.returncode, finished.returncode) == (-signal.SIGKILL, -signal.SIGKILL, 0)
    expected = [record for record in RECORDS[:limit] if record != "390"]
    assert _content(project / sink) == expected
    (letter,) = map(json.loads, (project / "dead.jsonl").read_text().splitlines())
    assert (letter["record"], letter["origin"]["offset"]) == ("390", len("".join(f"{n}\n" for n in range(390))))
    bills = Counter((project / "paid").read_text().split())
    assert sink == "out.db" or 0 < accepted
    assert all(bills[record] == 1 for record in RECORDS[:accepted])
    assert bills.keys() == set(RECORDS[:limit])


def _journaled(project, name: str) -> int:
    """Source records that the journal knows to be accepted."""
    journal = Journal(project / name)
    try:
        entry = journal.read()
        assert entry is not None
        assert entry.row["position"] is None
        return entry.row["accepted"]
    finally:
        journal.close()


def _content(path) -> list[str]:
    if path.suffix == ".jsonl":
        return [json.loads(line)["n"] for line in path.read_text().splitlines()]
    with closing(sqlite3.connect(path)) as database:
        return [value for (value,) in database.execute("SELECT * FROM t ORDER BY rowid")]
