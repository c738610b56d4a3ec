"""However slow its records are, a chain gives each result as soon as it can: the first frames hold one record."""

from __future__ import annotations

import subprocess
from gzip import compress

import pytest
from support.waiting import wait_until

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
