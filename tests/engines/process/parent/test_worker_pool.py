"""The worker pool alone: an epoch begins, frames go round, and whoever dies is named."""

from __future__ import annotations

import os
import pickle
import select
import selectors
import signal
import stat
from math import lcm
from time import monotonic

import pytest
from support.leaks import needs_proc
from support.specs import spec_for
from support.waiting import wait_until

from stagerunner.engines.base import Ready
from stagerunner.engines.process.parent.fork_server import Ended
from stagerunner.engines.process.parent.worker_pool import LEAST_GRACE, Closing, WorkerPool, wire
from stagerunner.records import DATA
from stagerunner.wire.frame import Header, Metadata, pack_metadata, unpack_payload

pytestmark = needs_proc
EMPTY = pack_metadata(Metadata())


class Turning:
    """A worker pool and what turns its selector."""

    def __init__(self, plan) -> None:
        self.selector = selectors.DefaultSelector()
        self.printed: list[tuple[str, int, bytes]] = []
        self.pool = WorkerPool(plan, self.selector, lambda *line: self.printed.append(line), "1")
        self.frames: list = []

    def turn(self) -> None:
        for key, _ in self.selector.select(0.01):
            key.data()
        self.frames += self.pool.arrivals()
        self.pool.look()

    def until(self, found):
        def turned():
            self.turn()
            return found()

        return wait_until(turned)

    def start(self, epoch: int = 1) -> None:
        self.pool.start(epoch, {})
        self.until(lambda: self.pool.ready)

    def told(self, teller) -> None:
        """Wait until there is something to be heard, and don't hear it."""
        assert select.select([teller], [], [], 10)[0]

    def send(self, sequence: int, records: list, epoch: int = 1) -> None:
        self.pool.send(Header(DATA, 0, epoch, sequence, sequence, 0, len(records)), EMPTY, pickle.dumps(records))

    def records(self) -> list:
        return [pickle.loads(unpack_payload(frame.payload)[1]) for frame in self.frames]


@pytest.fixture
def turning(project):
    made = []

    def turning(*stages) -> Turning:
        made.append(Turning(project.load(*stages).plan))
        return made[-1]

    yield turning
    for one in made:
        one.pool.close()
        one.selector.close()


def test_an_epoch_from_ready_to_end(turning):
    turning = turning({"use": "double", "workers": 2}, {"use": "same", "workers": 3})
    turning.start()
    assert [(stage, worker) for stage, worker, _ in turning.pool.ready.pids] == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]

    for sequence in range(20):
        turning.send(sequence, [sequence])
    turning.pool.end(20)
    turning.until(lambda: turning.pool.ended)

    assert turning.records() == [[2 * n] for n in range(20)]
    assert turning.pool.teardown_failures() == []
    assert turning.pool.trouble is None


@pytest.mark.parametrize("victim", range(3))
def test_the_one_who_died_first_is_named(turning, victim):
    turning = turning("same", "double", "same")
    turning.start()
    _, _, pid = turning.pool.ready.pids[victim]

    os.kill(pid, signal.SIGKILL)
    trouble = turning.until(lambda: turning.pool.trouble)

    assert (trouble.index, trouble.pid, trouble.how) == (victim, pid, "SIGKILL")


def test_who_died_is_named_however_long_the_caller_was_away(turning):
    turning = turning("same", "double")
    turning.start()
    pool, (_, _, pid) = turning.pool, turning.pool.ready.pids[0]

    os.kill(pid, signal.SIGKILL)
    turning.told(pool._fork_servers._running[""])
    pool._broken = (monotonic() - 1, "a pipe broke")
    pool.look()

    assert (pool.trouble.pid, pool.trouble.how) == (pid, "SIGKILL")


def test_who_closed_in_time_has_not_overstayed_however_long_the_caller_was_away(turning):
    turning = turning("same")
    turning.start()
    pool = turning.pool

    pool.end(0)
    turning.until(lambda: pool._returns.ended)
    if not pool.ended:
        turning.told(pool._fork_servers._running[""])
    pool._closing._since = monotonic() - 1000
    pool.look()

    assert pool.ended, "who waits to be told again waits for nothing"
    assert pool.teardown_failures() == []


def test_frames_of_workers_that_could_not_be_set_up_are_not_taken(turning):
    turning = turning("same")
    turning.start()
    ready = turning.pool.ready
    turning.pool.ready = Ready(ready.pids, ((0, 0, ready.pids[0][2], "no licence"),))

    turning.send(0, [1])
    turning.until(lambda: turning.pool.busy)

    assert turning.frames == []


def test_a_fork_server_that_dies_is_trouble_without_a_culprit(turning):
    turning = turning("same")
    turning.start()

    os.kill(turning.pool._fork_servers._running[""].pid, signal.SIGKILL)

    assert turning.until(lambda: turning.pool.trouble).how in ("the fork server has ended", "SIGKILL")


def test_a_new_epoch_has_new_workers_and_new_pipes(turning):
    turning = turning("double")
    turning.start()
    before = turning.pool.ready.pids
    turning.send(0, [1])
    os.kill(before[0][2], signal.SIGKILL)
    turning.until(lambda: turning.pool.trouble)
    turning.frames.clear()

    turning.start(epoch=2)
    turning.send(0, [5], epoch=2)
    turning.pool.end(1)
    turning.until(lambda: turning.pool.ended)

    assert turning.records() == [[10]]
    assert turning.pool.ready.pids != before


def test_more_than_the_pipes_hold_is_queued_and_sent_in_time(turning):
    turning = turning("same")
    turning.start()
    for sequence in range(100):
        turning.send(sequence, [bytes(100_000)])
    turning.pool.end(100)

    turning.until(lambda: turning.pool.ended)

    assert len(turning.frames) == 100


def test_clocks_are_kept_for_each_worker(turning):
    turning = turning({"use": "same", "workers": 2}, "double")
    turning.start()
    turning.send(0, list(range(1000)))
    turning.pool.end(1)
    turning.until(lambda: turning.pool.ended)

    clocks = turning.pool.clocks()

    assert [index for index, *_ in clocks] == [0, 0, 1]
    assert clocks[2][1] > 0


def test_what_workers_print_is_handed_on(turning, project):
    project.plugin("""
        @stage
        def chatty(record):
            print("at", record)
            return record
    """)
    turning = turning("chatty")
    turning.start()
    turning.send(0, [1])
    turning.pool.end(1)
    turning.until(lambda: turning.pool.ended)
    turning.pool.close()

    assert b"".join(data for _, _, data in turning.printed) == b"at 1\n"
    turning.pool = WorkerPool(project.load("same").plan, turning.selector, lambda *_: None, "1")


# The end of an epoch's workers


SPECS = {1: spec_for(names=("parse",)), 2: spec_for(names=("hide",))}


def begun(ago: float, grace: float = 5.0) -> Closing:
    """Workers that have been closing for so many seconds."""
    made = Closing(grace)
    made.begin()
    assert not made.overdue(SPECS, [])
    made._since = monotonic() - ago
    return made


def test_who_is_over_the_grace_is_to_be_killed_once_and_named():
    late = begun(ago=6)

    assert late.overdue(SPECS, [Ended(1, 11, 0)])
    assert not late.overdue(SPECS, [Ended(1, 11, 0)])
    assert late.failures(SPECS, [Ended(1, 11, 0), Ended(2, 12, -9)]) == ["hide: over its grace of 5 s"]


def test_who_has_ended_is_not_late_whenever_that_is_asked():
    both = [Ended(1, 11, 0), Ended(2, 12, 0)]
    slow = begun(ago=1000)

    assert not slow.overdue(SPECS, both)
    assert slow.failures(SPECS, both) == []


@pytest.mark.parametrize(("ago", "overdue"), [(LEAST_GRACE / 2, False), (LEAST_GRACE * 2, True)])
def test_there_is_some_time_to_close_however_small_the_grace(ago, overdue):
    assert begun(ago, grace=0).overdue(SPECS, []) is overdue


def test_failures_of_workers_that_were_replaced_are_kept():
    made = begun(ago=0)
    made.keep(SPECS, [Ended(1, 11, 3), Ended(2, 12, 0)])
    made.begin()

    failures = made.failures({3: spec_for(names=("new",))}, [Ended(3, 13, 1)])
    assert failures == ["parse: exit status 3", "new: exit status 1"]


# The pipes of an epoch


@pytest.fixture
def wired():
    made = []

    def wired(*widths: int):
        made.append(wire([1, *widths, 1]))
        return made[-1]

    yield wired
    for wiring in made:
        for connection in {*wiring.heads, *wiring.returns, *wiring.theirs}:
            connection.close()


def is_socket(connection) -> bool:
    return stat.S_ISSOCK(os.fstat(connection.fileno()).st_mode)


@pytest.mark.parametrize("widths", [(1,), (2,), (1, 1), (2, 3), (3, 2, 2), (4, 6)])
def test_there_are_as_many_pipes_as_can_occur(wired, widths):
    wiring = wired(*widths)
    between = [lcm(up, down) for up, down in zip((1, *widths), (*widths, 1), strict=True)]

    assert len(wiring.reading) == len(wiring.writing) == sum(between)
    assert (len(wiring.heads), len(wiring.returns)) == (widths[0], widths[-1])
    assert len(wiring.theirs) == 2 * sum(between) - len(wiring.heads) - len(wiring.returns)


def test_pipes_are_one_way_and_only_the_return_pipes_are_duplex(wired):
    wiring = wired(2, 3)

    assert [is_socket(connection) for connection in wiring.heads] == [False] * 2
    assert [is_socket(connection) for connection in wiring.returns] == [True] * 3
    assert sum(is_socket(connection) for connection in wiring.theirs) == 3


def test_what_is_written_at_one_end_is_read_at_the_other(wired):
    wiring = wired(2, 3)
    for (position, up, down), reader in wiring.reading.items():
        os.write(wiring.writing[position - 1, up, down].fileno(), bytes([position, up, down]))

        assert os.read(reader.fileno(), 10) == bytes([position, up, down])
