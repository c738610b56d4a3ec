"""A long input, somebody killed at 20, 40, 60 and 80 % of it: memory and descriptors stay where they were."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chaos_support.case import Case, environment
from chaos_support.family import send
from chaos_support.running import RESUME, Run, gone
from support.leaks import needs_proc
from support.processes import descriptors

MEGABYTE = 10**6
GROWTH = 24 * 2**20
"""Bytes a process may grow between the beginning and the end of the input; a leak of the input would be far more."""

WINDOW = 8 * 2**20

pytestmark = [needs_proc, pytest.mark.timeout(600)]


def _input(path: Path, size: int) -> str:
    """A file of lines; the digest of what is to come out."""
    digest, line, number = hashlib.sha256(), "x" * 80, 0
    with open(path, "w") as file:
        while file.tell() < size:
            block = "".join(f"{n} {line}\n" for n in range(number, number + 10_000))
            file.write(block)
            digest.update(block.upper().encode())
            number += 10_000
    return digest.hexdigest()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path / "case", [], [])
    case.temporary.mkdir(parents=True)
    config = {
        "version": 1,
        "source": str(case.folder / "in.txt"),
        "stages": ["text.strip", {"use": "text.upper", "workers": 2}],
        "sink": {"use": "lines", "with": {"path": str(case.output)}},
        "run": {"window": WINDOW, "checkpoint": "100ms"},
    }
    case.config.write_text(json.dumps(config))
    assert environment(case)
    return case


def _killed_at(run: Run, victim: str) -> None:
    keeper, workers = run.keeper, run.workers
    pid = {"worker": workers[0] if workers else None, "keeper": keeper, "parent": run.pid}[victim]
    assert pid is not None
    send(pid, signal.SIGKILL)


def _written(case: Case) -> int:
    partial = case.output.with_name(f"{case.output.name}.partial")
    return max((path.stat().st_size for path in (case.output, partial) if path.exists()), default=0)


def _watched(run: Run, done: Callable[[], bool]) -> Iterator[tuple[int, int]]:
    """Memory and number of descriptors of the parent, until so much is written."""
    while not run.wait_until(lambda: done(), "progress"):
        return
    yield _resident(run.pid), len(descriptors(run.pid))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_memory_and_descriptors_stay_flat(case, full):
    size = (1000 if full else 100) * MEGABYTE
    digest = _input(case.folder / "in.txt", size)
    victims = [(0.2, "worker"), (0.4, "keeper"), (0.6, "parent"), (0.8, "worker")]
    seen: dict[int, list[tuple[int, int]]] = {}

    def part(run: Run, until: float) -> None:
        for step in range(4):
            for figures in _watched(run, lambda: _written(case) >= (until - 0.04 * (3 - step)) * size):
                seen.setdefault(run.pid, []).append(figures)

    arguments: tuple[str, ...] = ()
    while victims:
        with Run(case, *arguments) as run:
            while victims and not run.over:
                share, victim = victims.pop(0)
                part(run, share)
                _killed_at(run, victim)
                if victim == "parent":
                    run.wait()
            if not run.over:
                part(run, 0.97)
            code = run.wait()
        gone(case, 5)
        arguments = RESUME

    assert code == 0, run.said
    assert hashlib.sha256(case.output.read_bytes()).hexdigest() == digest
    assert len(seen) == 2, "two lives of the parent were watched"
    for figures in seen.values():
        memory, numbers = [m for m, _ in figures], [n for _, n in figures]
        assert max(memory) - memory[0] < GROWTH + 2 * WINDOW, f"memory of the parent: {memory}"
        assert max(numbers) - min(numbers) <= 2, f"descriptors of the parent: {numbers}"
    assert run.summary["restarts"] == 1
