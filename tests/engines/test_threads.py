from __future__ import annotations

import os
import threading

import pytest

from stagerunner import StagerunnerError

THREADS = {"engine": "threads"}


def test_each_worker_is_a_thread_of_this_process_and_gone_afterwards(project):
    project.plugin("""
        import threading

        @stage
        def where(record):
            time.sleep(0.002)
            return os.getpid(), threading.current_thread().name
    """)
    seen = set(project.results({"use": "where", "workers": 3}, records=range(60), run=THREADS | {"frame": 1}))

    assert seen == {(os.getpid(), f"where/{number}") for number in (1, 2, 3)}
    assert not any(thread.name.startswith("where/") for thread in threading.enumerate())


def test_leaving_early_ends_the_threads(project):
    results = project.results({"use": "same", "workers": 2}, "double", records=range(10_000), run=THREADS)
    with results:
        assert next(iter(results)) == 0

    assert not any(thread.name.startswith(("same", "double")) for thread in threading.enumerate())


def test_a_stage_that_fails_while_closing_is_told(project):
    project.plugin("""
        @stage
        class Unclosed:
            def process(self, record):
                return record
            def close(self):
                raise RuntimeError("can't let go")
    """)
    results = project.results("unclosed", records=[1], run=THREADS)

    assert list(results) == [1]
    assert results.summary.exit_code == 1
    assert "can't let go" in results.summary.messages[0]


def test_a_setup_that_fails_ends_the_run(project):
    project.plugin("""
        @stage
        class Unready:
            def setup(self):
                raise RuntimeError("no model")
            def process(self, record):
                return record
    """)
    with pytest.raises(StagerunnerError, match="no model"):
        list(project.results("same", "unready", records=[1], run=THREADS))
