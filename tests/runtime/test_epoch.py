from __future__ import annotations

import pickle

import pytest

from stagerunner.engines.base import Ready
from stagerunner.engines.topology import groups_of
from stagerunner.errors import SetupFailed
from stagerunner.events import WorkerReady
from stagerunner.records import BARRIER, DATA, FLUSH, SKIP
from stagerunner.runtime.blocks import Blocks
from stagerunner.runtime.epoch import Epoch, worker_events
from stagerunner.window.core import Window
from stagerunner.wire.frame import unpack_payload


class Wire:
    """The end of the transport that frames are sent into."""

    arena = None

    def __init__(self) -> None:
        self.sent = []
        self.ended = None

    def send(self, header, metadata, body):
        self.sent.append((header, *unpack_payload(metadata + body)))

    def end(self, frames):
        self.ended = frames


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def window():
    return Window(1000, stateful=True)


@pytest.fixture
def epoch(window, wire):
    return Epoch(window, wire, Blocks())


def test_a_split_goes_out_as_data_of_its_range(epoch, window, wire):
    (sent,) = window.admit(b"payload", 7, last=5)

    epoch.send(sent)

    ((header, metadata, body),) = wire.sent
    assert (header.kind, header.epoch, header.sequence, header.first, header.last) == (DATA, 1, 0, 0, 5)
    assert (bytes(body), metadata.block, metadata.quarantined, header.marked) == (b"payload", -1, {}, False)


def test_quarantines_travel_with_their_split_in_the_next_epoch(window, wire):
    window.admit(b"payload", 7, last=5)
    window.quarantine(0, (1, 3, 0), ("Killed", "twice"))
    resent = window.restart()

    for sent in resent:
        Epoch(window, wire, Blocks()).send(sent)

    ((header, metadata, _),) = wire.sent
    assert (header.epoch, metadata.quarantined) == (2, {(1, 3, 0): ("Killed", "twice")})


def test_a_barrier_begins_with_no_snapshots_and_a_flush_says_its_stage(epoch, window, wire):
    epoch.send(window.barrier())
    for sent in window.flush(2, pickle.dumps(2)):
        epoch.send(sent)

    kinds = [(header.kind, pickle.loads(body)) for header, _, body in wire.sent]
    assert kinds == [(BARRIER, {}), (FLUSH, 2)]


def test_a_skip_holds_nothing(wire):
    window = Window(1000, workers=2)
    epoch = Epoch(window, wire, Blocks())
    for _ in range(4):
        window.admit(b"payload", 7)
    for sent in window.pass_over([-1, 3], 9):
        epoch.send(sent)

    ((header, _, body),) = wire.sent
    assert (header.kind, header.sequence, bytes(body)) == (SKIP, 4, b"")


def test_end_counts_what_was_sent(epoch, window, wire):
    window.admit(b"a", 1)
    window.admit(b"b", 1)

    epoch.end()

    assert (wire.ended, epoch.end_sent) == (2, True)


# What observers are told


@pytest.fixture
def plan(project):
    return project.plan({"use": "same", "workers": 2}, "double")


def test_each_worker_is_named_by_its_stage(plan):
    ready = Ready(((0, 0, 11), (0, 1, 12), (1, 0, 13)), ())

    assert list(worker_events(ready, plan, groups_of(plan), 3)) == [
        WorkerReady("same", 0, 11, 3),
        WorkerReady("same", 1, 12, 3),
        WorkerReady("double", 0, 13, 3),
    ]


def test_the_first_worker_that_could_not_be_set_up_ends_the_run(plan):
    ready = Ready(((0, 0, 11), (1, 0, 13)), ((1, 0, 13, "OSError: no such model"), (0, 0, 11, "later")))

    with pytest.raises(SetupFailed, match=r"double could not be set up \(worker 1\): OSError: no such model"):
        list(worker_events(ready, plan, groups_of(plan), 1))
