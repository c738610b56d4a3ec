"""Stream sources: they run in a process of their own, which outlives restarts and ends with the run."""

from __future__ import annotations

import os
import signal

import pytest
from support.leaks import needs_proc
from support.processes import alive, descendants
from support.waiting import wait_until

from stagerunner.errors import RunFailed
from stagerunner.events import Output, RecordFailed, WorkerFailed


def test_a_stream_is_read_to_its_end(project):
    project.plugin("""
        @source
        def numbers(*, stop: int):
            yield from range(stop)
    """)

    assert list(project.results("double", source={"use": "numbers", "with": {"stop": 5000}})) == [
        2 * n for n in range(5000)
    ]


def test_a_record_of_a_slow_stream_does_not_wait_for_others(project):
    project.plugin("""
        @source
        def slow():
            yield 1
            wait_for("go on")
            yield 2
    """)
    results = project.results("same", source="slow")

    assert next(results) == 1
    (project / "go on").touch()
    assert list(results) == [2]


def test_a_stream_outlives_a_restart(project):
    project.plugin("""
        @source
        def numbers():
            yield from range(3000)
        @stage
        def deadly(record):
            if record in (0, 1500, 2999) and once(f"died {record}"):
                os.kill(os.getpid(), signal.SIGKILL)
            return record
    """)

    assert list(project.results("deadly", source="numbers")) == list(range(3000))
    assert len(project.told(WorkerFailed)) >= 2


def test_a_stream_that_raises_ends_the_run_after_everything_it_gave(project):
    project.plugin("""
        @source
        def broken():
            yield from range(10)
            raise ValueError("the line is dead")
    """)
    got = []

    with pytest.raises(RunFailed, match="the source failed: ValueError: the line is dead"):
        for record in project.results("same", source="broken"):
            got.append(record)

    assert got == list(range(10))


@pytest.mark.parametrize("deed", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_stream_that_dies_ends_the_run(project, deed):
    project.plugin(f"""
        @source
        def broken():
            yield 1
            {deed}
    """)

    with pytest.raises(RunFailed, match="the source's process failed"):
        list(project.results("same", source="broken"))


@pytest.mark.parametrize("before", [0, 5000])
def test_a_stream_that_gives_what_can_not_be_pickled_ends_the_run(project, before):
    project.plugin(f"""
        @source
        def broken():
            yield from range({before})
            while True:
                yield lambda: 1
    """)

    with pytest.raises(RunFailed, match=r"the source failed.*(pickle|local object)"):
        list(project.results("same", source="broken"))


def test_a_stream_that_gives_none_fails_for_this_record_only(project):
    project.plugin("""
        @source
        def holey():
            yield from [1, None, 3]
    """)
    results = project.results("same", source={"use": "holey", "on_error": "skip"})

    assert list(results) == [1, 3]
    assert len(project.told(RecordFailed)) == 1
    assert results.summary.balanced


def test_what_a_stream_prints_is_told(project):
    project.plugin("""
        @source
        def chatty():
            print("hello")
            yield 1
    """)
    list(project.results("same", source="chatty"))

    assert Output("source", 0, "hello") in project.told(Output)


@needs_proc
def test_leaving_early_ends_the_stream_and_what_it_started(project):
    project.plugin("""
        @source
        def endless():
            child = os.fork()
            if child == 0:
                while True:
                    signal.pause()
            tell("child", child)
            while True:
                yield 1
    """)

    with project.results("same", source="endless") as results:
        next(results)
    child = int((project / "child").read_text())

    wait_until(lambda: not alive(child), 1, "the end of the stream's child")


@needs_proc
def test_a_stream_does_not_outlive_its_parent(project):
    project.plugin("""
        @source
        def quiet():
            child = os.fork()
            if child == 0:
                while True:
                    signal.pause()
            tell("child", child)
            yield 1
            wait_for("ever")
    """)
    project.config("same", source="quiet", sink="out.jsonl")
    with project.start("run", "chain.yaml") as parent:
        wait_until((project / "child").exists)
        family = descendants(parent.pid)
        assert int((project / "child").read_text()) in family

        os.kill(parent.pid, signal.SIGKILL)

        wait_until(lambda: not any(alive(pid) for pid in family), 1, "the end of every process")
