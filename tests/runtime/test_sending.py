from __future__ import annotations

import pickle

import pytest

from stagerunner.runtime.blocks import Places
from stagerunner.runtime.sending import Sending
from stagerunner.window.core import Window
from stagerunner.window.kinds import BARRIER, BLANK, DATA, FLUSH
from stagerunner.wire.metadata import unpack_payload


class Wire:
    """The end of the transport that frames are sent into."""

    def __init__(self) -> None:
        self.sent = []
        self.ended = None

    def send(self, header, notes, body):
        self.sent.append((header, *unpack_payload(notes + body)))

    def end(self, frames):
        self.ended = frames


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def window():
    return Window(1000, stateful=True)


@pytest.fixture
def sending(window, wire):
    return Sending(window, wire, Places())


def test_a_split_goes_out_as_data_of_its_range(sending, window, wire):
    (sent,) = window.admit(b"payload", 7, last=5)

    sending.send(sent)

    ((header, notes, body),) = wire.sent
    assert (header.kind, header.epoch, header.sequence, header.first, header.last) == (DATA, 1, 0, 0, 5)
    assert (bytes(body), notes.place, notes.convicted, header.marked) == (b"payload", -1, {}, False)


def test_convictions_travel_with_their_split(sending, window, wire):
    window.admit(b"payload", 7, last=5)
    window.convict(0, (1, 3, 0), ("Killed", "twice"))

    for sent in window.restart():
        sending.send(sent)

    ((header, notes, _),) = wire.sent
    assert (header.epoch, notes.convicted) == (2, {(1, 3, 0): ("Killed", "twice")})


def test_a_barrier_begins_with_no_snapshots_and_a_flush_says_its_stage(sending, window, wire):
    sending.send(window.barrier())
    for sent in window.flush(2, pickle.dumps(2)):
        sending.send(sent)

    kinds = [(header.kind, pickle.loads(body)) for header, _, body in wire.sent]
    assert kinds == [(BARRIER, {}), (FLUSH, 2)]


def test_a_blank_holds_nothing(wire):
    window = Window(1000, workers=2)
    sending = Sending(window, wire, Places())
    for _ in range(4):
        window.admit(b"payload", 7)
    for sent in window.pass_over([-1, 3], 9):
        sending.send(sent)

    ((header, _, body),) = wire.sent
    assert (header.kind, header.sequence, bytes(body)) == (BLANK, 4, b"")


def test_end_counts_what_was_sent(sending, window, wire):
    window.admit(b"a", 1)
    window.admit(b"b", 1)

    sending.end()

    assert wire.ended == 2
