"""The keeper as a process: it forks workers, tells how they ended, and outlives nobody."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys

import pytest
from support.hiring import hired
from support.leaks import needs_proc
from support.processes import alive
from support.waiting import wait_until

from stagerunner.engines.process.parent.fork_server import Ended, KeeperLink, how_ended, new_hash_seed
from stagerunner.wire.metrics import Page, create
from stagerunner.wire.spec import Order

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


def test_a_keeper_that_hired_nobody_is_killed_and_not_waited_for():
    keeper = KeeperLink("7")
    keeper.close()

    assert keeper._process.returncode == -signal.SIGKILL


class Kept:
    """A keeper, the links of the one worker it is asked to hire, and the meters."""

    def __init__(self) -> None:
        self.keeper = KeeperLink("7")
        self.meters = create(1)
        self.page = Page(self.meters, 1)
        self.reading, self.outbound = os.pipe()
        self.inbound, self.writing = os.pipe()
        self.printed, self.output = os.pipe()

    def hire(self) -> None:
        self.keeper.hire(1, Order.of(hired()), [self.inbound], [self.outbound], [self.meters, self.output])

    def started(self) -> int:
        """The pid of the worker."""

        def heard() -> int | None:
            list(self.keeper.hear())
            return self.keeper.pids.get(1)

        return wait_until(heard, what="the start of the worker")

    def ended(self) -> Ended:
        return wait_until(lambda: next(iter(self.keeper.hear()), None), what="the end of the worker")

    def close(self) -> None:
        self.keeper.close()
        self.page.close()
        for fd in (self.meters, self.reading, self.outbound, self.inbound, self.writing, self.printed, self.output):
            os.close(fd)


@pytest.fixture
def kept():
    kept = Kept()
    yield kept
    kept.close()


def test_a_worker_is_forked_in_a_process_group_of_its_own(kept):
    kept.hire()
    pid = kept.started()

    wait_until(lambda: os.getpgid(pid) == pid)
    assert alive(pid)


def test_the_end_of_a_worker_is_told(kept):
    kept.hire()
    pid = kept.started()
    os.kill(pid, signal.SIGKILL)

    assert kept.ended() == Ended(1, pid, -9)
    assert kept.keeper.pids == {}


def test_all_workers_are_ended_on_demand(kept):
    kept.hire()
    pid = kept.started()

    kept.keeper.end_workers(5)

    assert not alive(pid)
    assert kept.keeper.answering


def test_a_keeper_that_is_gone_is_noticed_and_its_worker_with_it(kept):
    kept.hire()
    pid = kept.started()
    os.kill(kept.keeper.pid, signal.SIGKILL)

    wait_until(lambda: list(kept.keeper.hear()) == [] and kept.keeper.gone)
    wait_until(lambda: not alive(pid), 1, "the end of the worker")
    kept.keeper.end_workers(0.1)
    assert not kept.keeper.answering


def test_a_stuck_keeper_is_not_waited_for(kept):
    kept.hire()
    kept.started()
    os.kill(kept.keeper.pid, signal.SIGSTOP)

    kept.keeper.end_workers(0.2)

    assert not kept.keeper.answering


def test_a_keeper_ignores_what_is_the_parents_business(kept):
    kept.hire()
    kept.started()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(kept.keeper.pid, number)

    kept.keeper.end_workers(5)

    assert kept.keeper.answering


def test_the_keeper_imports_from_where_we_import_and_restores_the_variable(project, monkeypatch):
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
    kept.keeper.hire(1, "no hire at all", [kept.inbound], [kept.outbound], [kept.meters, kept.output])

    assert kept.ended().status == 1
    assert select.select([kept.printed], [], [], 5)[0]
    assert b"AttributeError" in os.read(kept.printed, 65536)


def test_nobody_waits_for_a_keeper_that_is_stopped(kept):
    os.kill(kept.keeper.pid, signal.SIGSTOP)
    for _ in range(1000):
        kept.hire()
    assert not kept.keeper.pids

    kept.keeper.end_workers(0)
    assert not kept.keeper.answering
    os.kill(kept.keeper.pid, signal.SIGCONT)


def test_a_keeper_can_be_allowed_more_open_files(kept):
    kept.keeper.allow(1500)
    kept.hire()
    pid = kept.started()

    soft, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    assert soft >= 1500
