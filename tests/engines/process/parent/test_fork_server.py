"""The fork server as a process: it forks workers, tells how they ended, and outlives nobody."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys

import pytest
from support.leaks import needs_proc
from support.processes import alive
from support.specs import spec_for
from support.waiting import wait_until

from stagerunner.engines.process.parent.fork_server import Ended, ForkServerClient, how_ended, new_hash_seed
from stagerunner.wire.metrics import MetricsPage, create
from stagerunner.wire.spec import SealedSpec

pytestmark = needs_proc


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit status 0"), (3, "exit status 3"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-99, "signal 99")],
)
def test_an_end_in_words(status, words):
    assert how_ended(status) == words == Ended(1, 2, status).how


def test_a_hash_seed_is_one_that_python_takes():
    seeds = {int(new_hash_seed()) for _ in range(100)}

    assert len(seeds) > 90
    assert all(0 < seed < 2**32 for seed in seeds)


def test_a_fork_server_that_started_nobody_is_killed_and_not_waited_for():
    fork_server = ForkServerClient("7")
    fork_server.close()

    assert fork_server._process.returncode == -signal.SIGKILL


class Kept:
    """A fork server, the pipes of the one worker that it is asked to start, and the metrics page."""

    def __init__(self) -> None:
        self.fork_server = ForkServerClient("7")
        self.metrics = create(1)
        self.page = MetricsPage(self.metrics, 1)
        self.reading, self.outbound = os.pipe()
        self.inbound, self.writing = os.pipe()
        self.printed, self.output = os.pipe()

    def fork(self) -> None:
        self.fork_server.fork(
            1, SealedSpec.of(spec_for()), [self.inbound], [self.outbound], [self.metrics, self.output]
        )

    def started(self) -> int:
        """The pid of the worker."""

        def heard() -> int | None:
            list(self.fork_server.exits())
            return self.fork_server.pids.get(1)

        return wait_until(heard, what="the start of the worker")

    def ended(self) -> Ended:
        return wait_until(lambda: next(iter(self.fork_server.exits()), None), what="the end of the worker")

    def close(self) -> None:
        self.fork_server.close()
        self.page.close()
        for fd in (self.metrics, self.reading, self.outbound, self.inbound, self.writing, self.printed, self.output):
            os.close(fd)


@pytest.fixture
def kept():
    kept = Kept()
    yield kept
    kept.close()


def test_a_worker_is_forked_in_a_process_group_of_its_own(kept):
    kept.fork()
    pid = kept.started()

    wait_until(lambda: os.getpgid(pid) == pid)
    assert alive(pid)


def test_the_end_of_a_worker_is_told(kept):
    kept.fork()
    pid = kept.started()
    os.kill(pid, signal.SIGKILL)

    assert kept.ended() == Ended(1, pid, -9)
    assert kept.fork_server.pids == {}


def test_all_workers_are_ended_on_demand(kept):
    kept.fork()
    pid = kept.started()

    kept.fork_server.end_workers(5)

    assert not alive(pid)
    assert kept.fork_server.answered_all


def test_a_fork_server_that_is_gone_is_noticed_and_its_worker_with_it(kept):
    kept.fork()
    pid = kept.started()
    os.kill(kept.fork_server.pid, signal.SIGKILL)

    wait_until(lambda: list(kept.fork_server.exits()) == [] and kept.fork_server.gone)
    wait_until(lambda: not alive(pid), 1, "the end of the worker")
    kept.fork_server.end_workers(0.1)
    assert not kept.fork_server.answered_all


def test_a_stuck_fork_server_is_not_waited_for(kept):
    kept.fork()
    kept.started()
    os.kill(kept.fork_server.pid, signal.SIGSTOP)

    kept.fork_server.end_workers(0.2)

    assert not kept.fork_server.answered_all
    os.kill(kept.fork_server.pid, signal.SIGCONT)  # else its end is waited for


def test_a_fork_server_ignores_what_is_the_parents_business(kept):
    kept.fork()
    kept.started()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(kept.fork_server.pid, number)

    kept.fork_server.end_workers(5)

    assert kept.fork_server.answered_all


def test_the_fork_server_imports_from_where_we_import_and_restores_the_variable(project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    project.plugin("""
        @stage
        def seen(record):
            return [os.environ.get("PYTHONPATH"), os.environ["PYTHONHASHSEED"], sys.path]
    """)
    (variable, seed, path), (_, other, _) = project.results(
        {"use": "seen", "workers": 2}, records=[1, 2], run={"frame": 1}
    )

    assert variable == "/somewhere"
    assert seed == other != "0"
    assert set(filter(None, sys.path)) <= {*path, os.getcwd()}


def test_what_a_worker_prints_before_it_can_work_is_heard(kept):
    kept.fork_server.fork(1, "no spec at all", [kept.inbound], [kept.outbound], [kept.metrics, kept.output])

    assert kept.ended().status == 1
    assert select.select([kept.printed], [], [], 5)[0]
    assert b"AttributeError" in os.read(kept.printed, 65536)


def test_nobody_waits_for_a_fork_server_that_is_stopped(kept):
    os.kill(kept.fork_server.pid, signal.SIGSTOP)
    for _ in range(1000):
        kept.fork()
    assert not kept.fork_server.pids

    kept.fork_server.end_workers(0)
    assert not kept.fork_server.answered_all
    os.kill(kept.fork_server.pid, signal.SIGCONT)


def test_a_fork_server_can_be_allowed_more_open_files(kept):
    kept.fork_server.allow_descriptors(1500)
    kept.fork()
    pid = kept.started()

    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert soft >= 1500
