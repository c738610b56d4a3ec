"""However often chains are started and stopped, nothing is left of them."""

from __future__ import annotations

import gc
import os
from itertools import count
from pathlib import Path

import pytest
from support.leaks import needs_proc
from support.processes import children, descriptors

pytestmark = needs_proc

ROUNDS = 50


def traces() -> tuple[int, set[int], set[str]]:
    """Descriptors, children, and files of ours in shared memory and among the temporary ones."""
    folders = [folder for folder in ("/dev/shm", "/tmp") if Path(folder).exists()]
    names = {name for folder in folders for name in os.listdir(folder) if name.startswith("stagerunner")}
    return len(descriptors()), children(), names


def whole(chain) -> None:
    assert list(chain.run(range(20))) == list(range(20))


def left_early(chain) -> None:
    with chain.run(count()) as results:
        assert next(results) == 0


def never_read(chain) -> None:
    chain.run(count()).close()


def test_fifty_runs_leave_nothing(project):
    chain = project.load("same", {"use": "same", "workers": 2})
    uses = [whole, left_early, never_read]
    whole(chain)
    before = traces()

    for number in range(ROUNDS):
        uses[number % 3](chain)

    assert traces() == before


def test_a_run_that_is_forgotten_ends_when_it_is_collected(project):
    results = project.load("same").run(count())
    next(results)

    del results
    gc.collect()

    assert children() == set()


def test_failing_runs_leave_nothing(project):
    project.plugin("""
        @stage
        def bad(record):
            if record == 10:
                raise ValueError("ten")
            return record
    """)
    chain = project.load("bad")
    before = traces()

    for _ in range(10):
        with pytest.raises(Exception, match="ten"):
            list(chain.run(range(20)))

    assert traces() == before
