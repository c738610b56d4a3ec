"""Whatever is slow, at most a window of data is in flight."""

from __future__ import annotations

import os
import select
from itertools import count
from pathlib import Path

import pytest
from support.leaks import needs_proc
from support.processes import descendants

SIZE = 10_000
"""Bytes of a record."""
WINDOW = 2**20
PRESTARTED = 2**19
"""Bytes beyond the window: a split that was admitted with room for its first byte, and what the caller holds."""


def counted(pulled: list[int]):
    for number in count():
        pulled[0] += 1
        yield bytes([number % 256]) * SIZE


@pytest.mark.parametrize("engine", ["inline", "process"])
def test_a_slow_caller_holds_up_the_source(project, engine):
    pulled, most = [0], 0
    run = {"window": WINDOW, "frame": 10, "engine": engine}

    with project.results("same", "same", records=counted(pulled), run=run) as results:
        for taken in range(1, 1000):
            next(results)
            most = max(most, pulled[0] - taken)

    assert most * SIZE <= WINDOW + PRESTARTED


def test_a_slow_stage_holds_up_the_source(project):
    project.plugin("""
        @stage
        def gate(record):
            wait_for("open")
            return record
    """)
    pulled = [0]

    with project.results("same", "gate", records=counted(pulled), run={"window": WINDOW, "frame": 10}) as results:
        session = results._session  # private, to turn the loop by hand: the caller is as slow as can be
        while session.loop.window.room():
            session.step(0.01)
        for _ in range(20):
            session.step(0.01)
        (project / "open").touch()
        next(results)

    assert pulled[0] * SIZE <= WINDOW + PRESTARTED


def test_results_that_grow_are_bounded_by_pipes_and_pieces(project):
    project.plugin("""
        @stage
        def grow(record):
            for number in range(100):
                yield bytes(10_000)
    """)
    most = 0

    with project.results("grow", records=range(200), run={"window": WINDOW, "frame": 200}) as results:
        for _ in range(2000):
            next(results)
            waiting = results._writer.waiting  # private: no caller sees what waits
            most = max(most, sum(len(records) for records in waiting) * 10_000)

    assert most <= 16 * 2**20


def test_standard_input_is_not_read_ahead_of_a_slow_stage(project):
    project.plugin("""
        @stage
        def gate(record):
            wait_for("open")
            return record
    """)
    project.config("gate", run={"window": "256KiB"})
    line = b"x" * 999 + b"\n"

    with project.start("run", "chain.yaml", "-q", stdin=-1) as process:
        sent = fill(process.stdin, line)
        (project / "open").touch()
        out, _ = process.communicate(timeout=30)

    assert sent <= 4 * 2**20
    assert out.count(b"\n") == out.count(line) == sent // len(line)


BIG = """
from collections.abc import Iterator

@stage
def big(record: str) -> Iterator[str]:
    for number in range(60):
        yield "x" * 100_000

@stage
def large(record: str) -> str:
    return "x" * 6_000_000
"""

ROOM = 2 * 8 + 16 + 6
"""MiB: twice the window, sixteen, and one record's results that nothing can divide."""


@needs_proc
@pytest.mark.parametrize("stage", ["big", "large"])
def test_results_that_a_slow_reader_of_standard_output_leaves_are_not_piled_up(project, stage):
    """Each short line becomes 6 MB; neither the parent nor the worker holds more than its share."""
    project.plugin(BIG)
    project.write("in.txt", "abc\n" * 3000)
    project.config(stage, source="in.txt", run={"window": "8MiB"})

    with project.start("run", "chain.yaml", "-q") as process:
        base = heaviest(process.pid)
        assert len(process.stdout.read(20_000_000)) == 20_000_000
        most = max(heaviest(process.pid) for _ in settled(process.stdout))
        process.kill()

    assert most - base <= ROOM + 3 * 6  # a worker has the text, its pickle and its line


@needs_proc
@pytest.mark.parametrize("stage", ["big", "large"])
def test_results_that_a_slow_caller_leaves_are_not_piled_up(project, stage):
    project.plugin(BIG)
    records = ["abc"] * 3000
    most = 0

    with project.results("same", stage, records=records, run={"window": "8MiB"}) as results:
        next(results)
        base = pss(os.getpid())
        for _ in range(40):
            next(results)
            most = max(most, pss(os.getpid()) - base, *map(pss, descendants(os.getpid())))

    assert most <= ROOM + 3 * 6 + 20  # and the interpreter of a worker


def test_an_inline_chain_loses_nothing_to_a_slow_caller(project):
    project.plugin(BIG)

    with project.results("big", records=["abc"] * 3, run={"engine": "inline"}) as results:
        assert [len(result) for result in results] == [100_000] * 180


def settled(pipe):
    """Look until nothing has been read from the pipe for a second."""
    for _ in range(10):
        yield
        select.select([], [], [], 0.1)


def heaviest(pid: int) -> int:
    """MiB of the run's heaviest process."""
    return max(map(pss, [pid, *descendants(pid)]))


def pss(pid: int) -> int:
    """MiB a process has in memory, its share of what is shared."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("Pss:")), 0)


def fill(pipe, line: bytes) -> int:
    """Write whole lines until the reader has taken nothing more for half a second; how many bytes."""
    sent = 0
    os.set_blocking(pipe.fileno(), False)
    while select.select([], [pipe], [], 0.5)[1]:
        sent += os.write(pipe.fileno(), line * (4096 // len(line)))
    os.set_blocking(pipe.fileno(), True)
    return sent
