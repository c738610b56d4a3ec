"""Begun and ended again and again: descriptors, children, threads, shared memory and files come back to none."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from itertools import cycle, islice

import pytest
from chaos_support.oracle import shared
from support.leaks import needs_proc, nothing_left
from support.project import Project

from stagerunner.errors import StageFailed

CYCLES = 50
FULL = 10_000

pytestmark = [needs_proc, pytest.mark.reliability("start/run/stop cycles"), pytest.mark.timeout(300)]


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path)
    project.plugin("""
        @stage
        def fatal(record):
            if record == 150:
                raise ValueError("the end")
            return record

        @stage
        def deadly(record, *, mark: str):
            if record == 150 and once(mark):
                os.kill(os.getpid(), signal.SIGKILL)
            return record
    """)
    return project


def _whole(project: Project, number: int) -> None:
    assert list(project.results("same", {"use": "double", "workers": 2}, records=range(200))) == list(range(0, 400, 2))


def _left_early(project: Project, number: int) -> None:
    with project.results("same", records=range(100_000)) as results:
        assert next(results) == 0


def _failing(project: Project, number: int) -> None:
    with pytest.raises(StageFailed):
        list(project.results("same", "fatal", records=range(200)))


def _with_a_death(project: Project, number: int) -> None:
    stage = {"use": "deadly", "with": {"mark": f"died-{number}"}}
    assert list(project.results(stage, records=range(200))) == list(range(200))


def _to_a_file(project: Project, number: int) -> None:
    project.execute("same", source={"use": "range", "with": {"stop": 200}}, sink=f"out-{number % 3}.jsonl")


WAYS: tuple[Callable[[Project, int], None], ...] = (_whole, _left_early, _failing, _with_a_death, _to_a_file)


def test_cycles_leave_nothing(project, full, tmp_path, monkeypatch, proved):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    environment = dict(os.environ)

    cycles = FULL if full else CYCLES

    with nothing_left():
        for number, way in enumerate(islice(cycle(WAYS), cycles)):
            way(project, number)

    proved(cycles=cycles)
    assert shared() == []
    assert list(temporary.iterdir()) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert dict(os.environ) == environment
