"""Besides 0 to 2 and the mappings, a worker holds exactly its ends of its pipes, and nothing keeps a pipe open."""

from __future__ import annotations

import os
from math import lcm

import pytest
from support.leaks import needs_proc
from support.processes import children, descriptors

from stagerunner.events import WorkerReady

pytestmark = needs_proc


def pipes(pid: int) -> list[str]:
    """What a worker holds besides the standard three and the mappings, by kind."""
    held = [what for fd, what in descriptors(pid).items() if fd > 2 and "memfd:stagerunner-" not in what]
    return sorted(what.partition(":")[0] for what in held)


@pytest.mark.parametrize(("before", "width", "after"), [(1, 1, 1), (1, 2, 3), (2, 2, 2), (3, 2, 1), (3, 1, 2)])
def test_a_worker_holds_exactly_its_pipes(project, before, width, after):
    stages = [{"use": "same", "workers": n} for n in (before, width, after)]

    with project.results(*stages, records=range(100_000)) as results:
        next(results)
        pids = [ready.pid for ready in project.told(WorkerReady)]
        held = [pipes(pid) for pid in pids]

    firsts, middles, lasts = held[:before], held[before : before + width], held[before + width :]
    assert firsts == [["pipe"] * (1 + lcm(before, width) // before)] * before
    assert middles == [["pipe"] * (lcm(before, width) // width + lcm(width, after) // width)] * width
    assert lasts == [["pipe"] * (lcm(width, after) // after) + ["socket"]] * after


def test_a_worker_maps_the_metrics_and_reads_nothing_from_outside(project):
    with project.results("same", records=range(100_000)) as results:
        next(results)
        (ready,) = project.told(WorkerReady)
        held = descriptors(ready.pid)

    assert sum("stagerunner-metrics" in what for what in held.values()) == 1
    assert held[0] == os.devnull
    assert held[1] == held[2]


def test_the_fork_server_holds_no_pipe(project):
    with project.results("same", "same", records=range(100_000)) as results:
        next(results)
        (fork_server,) = children()
        held = {what for fd, what in descriptors(fork_server).items() if fd > 2}
        of_workers = set()
        for ready in project.told(WorkerReady):
            of_workers |= {what for fd, what in descriptors(ready.pid).items() if fd > 2}

    assert held & of_workers == set()


def test_only_the_parent_holds_the_writing_end_of_the_life_pipe(project):
    with project.results("same", records=range(100_000)) as results:
        next(results)
        (fork_server,) = children()
        pids = [ready.pid for ready in project.told(WorkerReady)]
        life = {what for what in descriptors(fork_server).values() if what in descriptors().values() and "pipe" in what}
        of_workers = {what for pid in pids for what in descriptors(pid).values()}

    assert len(life - of_workers) == 1


def test_a_plugin_that_closes_our_descriptors_in_the_parent_ends_the_run_in_a_line(project):
    project.plugin("""
        @sink
        class Rude:
            keeps = "nothing"
            def encode(self, records):
                return b"x"
            def open(self, position): ...
            def write(self, data):
                os.closerange(3, 256)
            def position(self): ...
            def commit(self, row): ...
            def finish(self): ...
            def abort(self): ...
    """)
    project.config("same", source={"use": "range", "with": {"stop": 10}}, sink="rude")

    ended = project.cli("run", "chain.yaml", "-q")

    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines() == ["error[run-failed]: the system refused: Bad file descriptor"]
