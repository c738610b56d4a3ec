from __future__ import annotations

import os
import pickle
import selectors

import pytest

from stagerunner.engines.process.parent.returns import Holding, Returns
from stagerunner.records import DATA, END, READY
from stagerunner.window.core import CHARGE
from stagerunner.wire.frame import BadFrame, Header, pack_header
from stagerunner.wire.pipe import Inbound, send


class Links:
    """Return pipes to write to, and the Returns that reads them."""

    def __init__(self, count: int, limit: int) -> None:
        self.selector = selectors.DefaultSelector()
        pipes = [os.pipe() for _ in range(count)]
        self.reading = [reading for reading, _ in pipes]
        self.writing: list[int | None] = [writing for _, writing in pipes]
        for fd in self.reading:
            os.set_blocking(fd, False)
        self.returns = Returns([Inbound(fd, 10**7) for fd in self.reading], self.selector, limit)

    def data(self, pipe: int, sequence: int, size: int = 10, more: int = 0) -> None:
        send(self.writing[pipe], Header(DATA, more, 1, sequence), b"x" * size)

    def mark(self, kind: int, pipe: int, sequence: int = 0, payload: bytes = b"", more: int = 0) -> None:
        send(self.writing[pipe], Header(kind, more, 1, sequence), payload)

    def shut(self, pipe: int) -> None:
        os.close(self.writing[pipe])
        self.writing[pipe] = None

    def read(self) -> None:
        for key, _ in self.selector.select(0):
            key.data()

    def sequences(self) -> list[int]:
        self.read()
        return [frame.header.sequence for frame in self.returns.frames(1)]

    def close(self) -> None:
        self.returns.close()
        for fd in [*self.reading, *self.writing]:
            if fd is not None:
                os.close(fd)
        self.selector.close()


@pytest.fixture
def linked():
    made = []

    def linked(count: int = 2, limit: int = 10**6) -> Links:
        made.append(Links(count, limit))
        return made[-1]

    yield linked
    for pipes in made:
        pipes.close()


def test_frames_leave_in_the_order_of_their_sequence(linked):
    pipes = linked()
    pipes.data(1, 1)
    pipes.data(1, 3)
    assert pipes.sequences() == []

    pipes.data(0, 0)
    assert pipes.sequences() == [0, 1]
    pipes.data(0, 2)
    assert pipes.sequences() == [2, 3]


def test_pieces_keep_their_turn(linked):
    pipes = linked()
    pipes.data(0, 0, more=1)
    pipes.data(1, 1)
    assert pipes.sequences() == [0]

    pipes.data(0, 0)
    assert pipes.sequences() == [0, 1]


def test_beyond_the_limit_only_the_pipe_whose_turn_it_is_is_read(linked):
    pipes = linked(limit=1000)
    for sequence in (1, 3, 5):
        pipes.data(1, sequence, size=600)
        pipes.read()
    assert {key.fd for key in pipes.selector.get_map().values()} == {pipes.reading[0]}

    pipes.data(0, 0)

    assert pipes.sequences() == [0, 1]
    assert len(pipes.selector.get_map()) == 2


def test_end_on_every_pipe_is_the_end(linked):
    pipes = linked()
    pipes.data(0, 0)
    pipes.mark(END, 1, 1)
    assert pipes.sequences() == [0]
    assert not pipes.returns.ended

    pipes.mark(END, 0, 1)
    assert pipes.sequences() == []
    assert pipes.returns.ended


def test_end_is_read_from_every_pipe_however_little_room_there_is(linked):
    pipes = linked(3, limit=1)
    pipes.returns.begin_turns()
    for number in range(3):
        pipes.mark(END, number, 0)
    for _ in range(3):
        pipes.read()
        pipes.sequences()

    assert pipes.returns.ended


def test_an_end_with_something_missing_is_a_fault(linked):
    pipes = linked()
    pipes.mark(END, 0, 5)

    with pytest.raises(BadFrame, match="END after 5 frames, but 0 came"):
        pipes.sequences()


def test_a_pipe_that_ends_without_end_is_broken(linked):
    pipes = linked()
    pipes.data(0, 0)
    pipes.shut(1)

    assert pipes.sequences() == [0]
    pipes.read()
    assert list(pipes.returns.frames(1)) == []
    assert pipes.returns.broken


def test_a_pipe_that_ends_inside_a_frame_is_a_fault(linked):
    pipes = linked(1)
    os.write(pipes.writing[0], b"SgRn")
    pipes.shut(0)

    pipes.read()
    with pytest.raises(BadFrame, match="inside a frame"):
        pipes.sequences()


@pytest.mark.parametrize("header", [Header(DATA, 0, 1, 7), Header(DATA, 0, 2, 0)])
def test_a_frame_out_of_its_turn_or_epoch_is_a_fault(linked, header):
    pipes = linked(1)
    send(pipes.writing[0], header, b"")

    with pytest.raises(BadFrame, match="where 0 was due"):
        pipes.sequences()


LINES = [(0, 0, 41, ""), (0, 1, 42, "no"), (1, 0, 43, "")]


def test_ready_is_heard_from_every_pipe(linked):
    pipes = linked()
    pipes.mark(READY, 0, payload=pickle.dumps(LINES[:2]))
    pipes.read()
    assert pipes.returns.ready_lines() is None

    pipes.mark(READY, 1, payload=pickle.dumps(LINES[1:]))
    pipes.read()
    assert pipes.returns.ready_lines() == LINES


def test_ready_comes_in_pieces_and_frames_can_be_waiting_behind_it(linked):
    pipes = linked(1)
    data = pickle.dumps(LINES)
    pipes.mark(READY, 0, payload=data[:20], more=1)
    pipes.read()
    assert pipes.returns.ready_lines() is None

    pipes.mark(READY, 0, payload=data[20:])
    pipes.data(0, 0)
    pipes.data(0, 1)
    pipes.read()

    assert pipes.returns.ready_lines() == LINES
    assert pipes.sequences() == [0, 1]


def test_anything_before_ready_is_a_fault(linked):
    pipes = linked(1)
    pipes.data(0, 0)
    pipes.read()

    with pytest.raises(BadFrame, match="DATA where READY was due"):
        pipes.returns.ready_lines()


def test_a_worker_that_leaves_before_it_is_ready_breaks_the_pipe(linked):
    pipes = linked(1)
    pipes.shut(0)
    pipes.read()

    assert pipes.returns.ready_lines() is None
    assert pipes.returns.broken


def test_a_pipe_that_is_through_before_another_is_ready_breaks_nothing(linked):
    pipes = linked()
    pipes.mark(READY, 0, payload=pickle.dumps(LINES[:2]))
    pipes.data(0, 0)
    pipes.mark(END, 0, 1)
    pipes.shut(0)
    for _ in range(2):
        pipes.read()
    assert pipes.returns.ready_lines() is None
    assert not pipes.returns.broken

    pipes.mark(READY, 1, payload=pickle.dumps(LINES[1:]))
    pipes.mark(END, 1, 1)
    pipes.read()
    assert pipes.returns.ready_lines() == LINES
    assert pipes.sequences() == [0]
    pipes.sequences()
    assert pipes.returns.ended


def test_a_pipe_that_ends_behind_ready_but_without_end_is_broken_though_another_is_not_ready(linked):
    pipes = linked()
    pipes.mark(READY, 0, payload=pickle.dumps(LINES[:2]))
    pipes.shut(0)
    for _ in range(2):
        pipes.read()

    assert pipes.returns.ready_lines() is None
    assert pipes.returns.broken


def test_what_nobody_takes_is_not_read_on_and_on(linked):
    pipes = linked(1, limit=50_000)
    pipes.returns.begin_turns()
    for sequence in range(5):
        pipes.data(0, sequence, size=12_000)
    pipes.read()
    held = pipes.returns.holding.bytes
    assert held > 50_000

    for sequence in range(5, 9):
        pipes.data(0, sequence, size=12_000)
    for _ in range(5):
        pipes.read()
    assert pipes.returns.holding.bytes == held

    taken = pipes.sequences()
    while len(taken) < 9:
        taken += pipes.sequences()
    assert taken == list(range(9))
    assert pipes.returns.holding.bytes == 0


def test_large_frames_out_of_turn_share_the_room_there_is(linked):
    """Memory is taken for a large frame when it begins: of many at once only as many as there is room for begin."""
    pipes = linked(8, limit=2**20)
    pipes.returns.begin_turns()
    for number in range(1, 8):
        os.write(pipes.writing[number], pack_header(Header(DATA, 0, 1, number, length=2**20)) + bytes(50_000))
    for _ in range(20):
        pipes.read()

    assert pipes.returns.holding.bytes <= 2**21


def test_a_large_frame_that_comes_bit_by_bit_is_held_for_what_it_is(linked):
    pipes = linked(1)
    pipes.returns.begin_turns()
    os.write(pipes.writing[0], pack_header(Header(DATA, 0, 1, 0, length=200_000)) + bytes(50_000))
    pipes.read()
    assert pipes.returns.holding.bytes == 200_000

    for size in (60_000, 60_000, 30_000):
        os.write(pipes.writing[0], bytes(size))
        pipes.read()
    assert pipes.returns.holding.bytes == 200_000 + CHARGE
    assert pipes.sequences() == [0]
    assert pipes.returns.holding.bytes == 0


# What is held


def test_every_pipe_is_read_while_there_is_room():
    holding = Holding(10_000)
    holding.came(1000)

    assert holding.reads(due=False, here=False)
    assert holding.reads(due=True, here=True)


def test_beyond_the_limit_only_the_pipe_is_read_whose_turn_it_is_until_a_frame_of_it_is_here():
    holding = Holding(10_000)
    holding.came(10_000)

    assert holding.reads(due=True, here=False)
    assert not holding.reads(due=True, here=True)
    assert not holding.reads(due=False, here=False)


def test_what_is_taken_makes_room():
    holding = Holding(10_000)
    holding.came(10_000)
    holding.taken(10_000)

    assert (holding.bytes, holding.full) == (0, False)


def test_a_frame_that_is_still_coming_counts_from_its_beginning():
    holding = Holding(10_000)
    holding.begun(10_000)
    assert holding.full

    holding.came(10_000)
    holding.begun(-10_000)

    assert holding.bytes == 10_000 + CHARGE


def test_tiny_frames_are_charged_for_what_they_take():
    holding = Holding(100 * CHARGE)
    for _ in range(100):
        holding.came(4)

    assert holding.full
