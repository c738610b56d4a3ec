"""The transport of engines that have a pool, with a pool that is told what to do."""

from __future__ import annotations

import selectors

import pytest

from stagerunner.engines.base import Trouble
from stagerunner.engines.pool import transport as module
from stagerunner.engines.pool.base import Done
from stagerunner.engines.pool.transport import PoolTransport
from stagerunner.errors import RunFailed, Stopped
from stagerunner.records import DATA
from stagerunner.wire.frame import CUT, Header, bundle


class Scripted:
    """Does nothing by itself. calls: (worker, what it was given) → the ticket."""

    shares_page = works_ahead = False
    why = ""

    def __init__(self, metrics, page, tell):
        self.tell, self.calls, self.given, self.halted = tell, [], {}, 0

    def open(self, specs):
        self.opened = [object() for _ in specs]
        return self.opened

    def submit(self, worker, given):
        ticket = object()
        self.calls.append((worker, given, ticket))
        return ticket

    def fetch(self, ticket):
        return self.given[ticket]

    def hopeless(self):
        return self.why

    def halt(self):
        self.halted += 1

    def kill(self): ...

    def close(self): ...

    def ready(self):
        for number, ticket in enumerate(self.opened):
            self.tell(Done(ticket, pid=number + 1))


@pytest.fixture
def chain(project):
    """The transport of two stages, the second with two workers, and its pool."""
    plan = project.load("same", {"use": "double", "workers": 2}).plan
    with selectors.DefaultSelector() as selector:
        transport = PoolTransport(plan, selector, Scripted)
        transport.start(1, {})
        transport.hear = lambda: [key.data() for key, _ in selector.select(0)]
        yield transport, transport._pool
        transport.close()


def frame(sequence, flags=0):
    return Header(DATA, flags, 1, sequence, sequence, 0, 1)


def test_it_is_ready_once_every_worker_is(chain):
    transport, pool = chain
    pool.tell(Done(pool.opened[0], pid=1))
    transport.hear()
    assert transport.ready is None

    pool.tell(Done(pool.opened[1], pid=2))
    pool.tell(Done(pool.opened[2], pid=3, error="no model"))
    transport.hear()
    assert transport.ready.pids == ((0, 0, 1), (1, 0, 2), (1, 1, 3))
    assert transport.ready.errors == ((1, 1, 3, "no model"),)


def test_a_frame_goes_to_worker_s_mod_n_of_each_stage_as_the_ticket_of_the_stage_before(chain):
    transport, pool = chain
    for sequence in range(3):
        transport.send(frame(sequence), b"", b"")

    assert [worker for worker, _, _ in pool.calls] == [0, 1, 0, 2, 0, 1]
    assert [given for _, given, _ in pool.calls[1::2]] == [ticket for _, _, ticket in pool.calls[::2]]


def test_frames_arrive_in_their_order_whichever_is_done_first(chain):
    transport, pool = chain
    pool.ready()
    tickets = []
    for sequence in range(2):
        transport.send(frame(sequence), b"", b"")
        tickets.append(pool.calls[-1][2])
        pool.given[tickets[-1]] = bundle([(frame(sequence), b"", b"")])
    pool.tell(Done(tickets[1]))
    transport.hear()
    assert list(transport.arrivals()) == []

    pool.tell(Done(tickets[0]))
    transport.hear()
    assert [arrived.header.sequence for arrived in transport.arrivals()] == [0, 1]


def test_what_is_told_of_an_earlier_epoch_is_nobodys(chain):
    transport, pool = chain
    transport.send(frame(0), b"", b"")
    late = pool.calls[-1][2]
    transport.start(2, {})
    pool.tell(Done(late, trouble=Trouble("double", 0, 0, "SIGKILL")))
    transport.hear()

    assert transport.trouble is None


def test_a_lost_worker_is_the_trouble_of_the_epoch(chain):
    transport, pool = chain
    pool.ready()
    transport.send(frame(0), b"", b"")
    pool.tell(Done(pool.calls[0][2], trouble=Trouble("same", 0, 7, "SIGKILL", 0)))
    pool.tell(Done(pool.calls[1][2], nothing=True))
    transport.hear()

    assert transport.trouble.how == "SIGKILL"


def test_a_halt_is_passed_on_between_two_turns_and_a_frame_that_was_not_begun_is_cut(chain):
    transport, pool = chain
    pool.ready()
    transport.send(frame(0), b"", b"")
    transport.halt()
    assert pool.halted == 0  # in a signal handler

    transport.look()
    transport.look()
    pool.tell(Done(pool.calls[-1][2], cut=True))
    transport.hear()
    (cut,) = transport.arrivals()
    assert pool.halted == 1
    assert (cut.header.flags, cut.header.first, cut.header.last) == (CUT, 0, 0)


@pytest.mark.parametrize("came", [b"", b"not a frame at all", bundle([(frame(5), b"", b"")])])
def test_a_frame_that_comes_back_wrong_is_a_trouble(chain, came):
    transport, pool = chain
    pool.ready()
    transport.send(frame(0), b"", b"")
    pool.given[pool.calls[-1][2]] = came
    pool.tell(Done(pool.calls[-1][2]))
    transport.hear()

    assert list(transport.arrivals()) == []
    assert transport.trouble.how.startswith("a frame was lost: ")


def test_workers_that_find_no_place_end_the_run(chain, monkeypatch):
    transport, pool = chain
    pool.tell(Done(pool.opened[0], pid=1))
    transport.hear()
    transport.look()
    monkeypatch.setattr(module, "PLACING", -1e6)

    with pytest.raises(RunFailed, match="double/1, double/2; is there room"):
        transport.look()


def test_workers_that_can_find_no_place_any_more_stop_the_run(chain, monkeypatch):
    transport, pool = chain
    pool.why = "no node is left"
    transport.look()  # it was asked for them just now
    monkeypatch.setattr(module, "ASKING", -1.0)
    transport.start(2, {})

    with pytest.raises(Stopped, match="no node is left"):
        transport.look()
