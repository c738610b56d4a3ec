"""A worker dies at any point: the results are those of a run without deaths."""

from __future__ import annotations

import ctypes
import os
import signal
from functools import partial

import pytest
from support.leaks import needs_proc
from support.processes import alive, asleep, children, descendants
from support.waiting import wait_until

from stagerunner.errors import RunFailed
from stagerunner.events import RecordFailed, WorkerFailed, WorkerReady

pytestmark = needs_proc

DEADLY = """
@stage
def deadly(record):
    if record == 150 and once("died"):
        {deed}
    return record
"""

DEATHS = {
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGSEGV": "signal.signal(signal.SIGSEGV, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGSEGV)",
    "exit status 0": "os._exit(0)",
    "exit status 3": "os._exit(3)",
}

BLOCKS = {"first": ["deadly", "same", "same"], "middle": ["same", "deadly", "same"], "last": ["same", "same", "deadly"]}


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("place", BLOCKS)
def test_a_death_in_a_record_costs_nothing(project, death, place):
    project.plugin(DEADLY.format(deed=DEATHS[death]))
    stages = [{"use": name, "workers": 2} for name in BLOCKS[place]]

    assert list(project.results(*stages, records=range(300))) == list(range(300))

    (failed,) = project.told(WorkerFailed)
    assert (failed.stage.partition("-")[0], failed.how) == ("deadly", death)


@pytest.mark.parametrize("victim", [0, 1, 2])
def test_a_death_in_an_idle_moment_costs_nothing(project, victim):
    def records():
        yield from range(100)
        wait_until(lambda: len(project.told(WorkerReady)) == 3)
        pids = [ready.pid for ready in project.told(WorkerReady)]
        wait_until(lambda: all(asleep(pid) for pid in pids))
        os.kill(pids[victim], signal.SIGKILL)
        yield from range(100, 200)

    results = project.results("same", "double", "same", records=records(), run={"frame": 10})

    assert list(results) == [2 * n for n in range(200)]
    assert len(project.told(WorkerFailed)) == 1


def test_a_death_before_the_first_record_costs_nothing(project):
    project.plugin("""
        @stage
        class Deadly:
            def setup(self):
                if once("died"):
                    os.kill(os.getpid(), signal.SIGKILL)
            def process(self, record):
                return record
    """)

    assert list(project.results("same", "deadly", records=range(100))) == list(range(100))


def test_a_worker_that_begins_late_after_a_death_is_waited_for(project):
    project.plugin("""
        @stage
        def deadly(record):
            if record == 99 and once("died"):
                time.sleep(0.3)  # END has been sent by then
                os._exit(3)
            return record
        @stage
        class Late:
            def setup(self):
                if (Path(__file__).parent / "died").exists() and once("late"):
                    time.sleep(1)
            def process(self, record):
                return record
    """)
    late = {"use": "late", "workers": 2}

    assert list(project.results("deadly", late, records=range(100))) == list(range(100))

    assert [failed.stage for failed in project.told(WorkerFailed)] == ["deadly"]


def test_a_fork_server_that_dies_takes_its_workers_with_it_and_costs_nothing(project):
    results = project.results("same", "same", records=range(5000), run={"frame": 10})
    got = [next(results)]
    (fork_server,) = children()
    workers = children(fork_server)

    os.kill(fork_server, signal.SIGKILL)

    assert got + list(results) == list(range(5000))
    assert not any(alive(pid) for pid in workers)


def test_a_record_that_kills_every_time_is_quarantined_alone(project):
    project.plugin("""
        @stage
        def deadly(record):
            if record == 77:
                os.kill(os.getpid(), signal.SIGKILL)
            return record
    """)
    results = project.results("same", {"use": "deadly", "workers": 3, "on_error": "skip"}, records=range(300))

    assert list(results) == [n for n in range(300) if n != 77]

    (failed,) = project.told(RecordFailed)
    assert (failed.type, failed.where) == ("Killed", "record 77")
    assert "SIGKILL" in failed.message
    assert results.summary.balanced


def test_a_record_that_hangs_is_quarantined_alone(project):
    project.plugin("""
        @stage
        def stuck(record):
            if record == 7:
                time.sleep(60)
            return record
    """)
    stage = {"use": "stuck", "timeout": "200ms", "on_error": "skip"}

    assert list(project.results(stage, records=range(10))) == [n for n in range(10) if n != 7]
    assert [failed.type for failed in project.told(RecordFailed)] == ["Timeout"]


def test_a_worker_that_dies_before_any_record_again_and_again_ends_the_run(project):
    project.plugin("""
        @stage
        class Deadly:
            def setup(self):
                os.kill(os.getpid(), signal.SIGKILL)
            def process(self, record):
                return record
    """)

    with pytest.raises(RunFailed, match=r"deadly.*SIGKILL"):
        list(project.results("same", "deadly", records=range(100)))


def test_what_a_worker_has_started_is_killed_with_it(project):
    project.plugin("""
        @stage
        def forking(record):
            if record == 50 and once("forked"):
                child = os.fork()
                if child == 0:
                    while True:
                        signal.pause()
                tell("child", child)
                os.kill(os.getpid(), signal.SIGKILL)
            return record
    """)

    assert list(project.results("same", "forking", "same", records=range(100))) == list(range(100))

    child = int((project / "child").read_text())
    wait_until(lambda: not alive(child), 1, "the end of the worker's child")


def test_a_child_that_keeps_the_descriptors_does_not_hold_up_the_end(project):
    project.plugin("""
        @stage
        def forking(record):
            if once("forked"):
                child = os.fork()
                if child == 0:
                    while True:
                        signal.pause()
                tell("child", child)
            return record
    """)

    assert list(project.results("same", "forking", "same", records=range(100))) == list(range(100))

    child = int((project / "child").read_text())
    wait_until(lambda: not alive(child), 1, "the end of the worker's child")


def test_within_a_second_of_the_parents_death_no_process_is_left(project):
    project.plugin("""
        @stage
        def forking(record):
            child = os.fork()
            if child == 0:
                while True:
                    signal.pause()
            tell("child", child)
            time.sleep(60)
    """)
    project.config("same", "forking", source={"use": "range", "with": {"stop": 100}}, sink="out.jsonl")
    with project.start("run", "chain.yaml") as parent:
        wait_until((project / "child").exists)
        family = descendants(parent.pid)
        assert int((project / "child").read_text()) in family

        os.kill(parent.pid, signal.SIGKILL)

        wait_until(lambda: not any(alive(pid) for pid in family), 1, "the end of every process")


@pytest.fixture
def foster():
    """Become the parent of orphaned processes. Without a new parent, the kernel itself would wake the stopped ones."""
    set_subreaper = partial(ctypes.CDLL(None).prctl, 36)
    if set_subreaper(1, 0, 0, 0):
        pytest.skip("needs Linux")
    yield
    set_subreaper(0, 0, 0, 0)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("source", [{"use": "range", "with": {"stop": 100}}, "streaming"])
def test_a_stopped_chain_does_not_outlive_its_parent(project, source, foster):
    project.plugin("""
        @source
        def streaming():
            yield 1
            time.sleep(60)
        @stage
        def stuck(record):
            tell("here")
            time.sleep(60)
    """)
    project.config("stuck", source=source, sink="out.jsonl")
    with project.start("run", "chain.yaml") as parent:
        wait_until((project / "here").exists)
        family = descendants(parent.pid)
        for pid in family:
            os.kill(pid, signal.SIGSTOP)

        os.kill(parent.pid, signal.SIGKILL)

        wait_until(lambda: not any(alive(pid) for pid in family), 1, "the end of every process")
