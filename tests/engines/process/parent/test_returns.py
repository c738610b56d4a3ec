from __future__ import annotations

import os
import pickle
import selectors

import pytest

from stagerunner.engines.process.parent.returns import Returns
from stagerunner.records import DATA, END, READY
from stagerunner.window.holding import CHARGE
from stagerunner.wire.frame import BadFrame, Header, pack_header
from stagerunner.wire.pipe import Inbound, send


class Links:
    """Return links to write to, and the Returns that reads them."""

    def __init__(self, count: int, limit: int) -> None:
        self.selector = selectors.DefaultSelector()
        pipes = [os.pipe() for _ in range(count)]
        self.reading = [reading for reading, _ in pipes]
        self.writing: list[int | None] = [writing for _, writing in pipes]
        for fd in self.reading:
            os.set_blocking(fd, False)
        self.returns = Returns([Inbound(fd, 10**7) for fd in self.reading], self.selector, limit)

    def data(self, link: int, sequence: int, size: int = 10, more: int = 0) -> None:
        send(self.writing[link], Header(DATA, more, 1, sequence), b"x" * size)

    def mark(self, kind: int, link: int, sequence: int = 0, payload: bytes = b"", more: int = 0) -> None:
        send(self.writing[link], Header(kind, more, 1, sequence), payload)

    def shut(self, link: int) -> None:
        os.close(self.writing[link])
        self.writing[link] = None

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
    for links in made:
        links.close()


def test_frames_leave_in_the_order_of_their_sequence(linked):
    links = linked()
    links.data(1, 1)
    links.data(1, 3)
    assert links.sequences() == []

    links.data(0, 0)
    assert links.sequences() == [0, 1]
    links.data(0, 2)
    assert links.sequences() == [2, 3]


def test_pieces_keep_their_turn(linked):
    links = linked()
    links.data(0, 0, more=1)
    links.data(1, 1)
    assert links.sequences() == [0]

    links.data(0, 0)
    assert links.sequences() == [0, 1]


def test_beyond_the_limit_only_the_link_whose_turn_it_is_is_read(linked):
    links = linked(limit=1000)
    for sequence in (1, 3, 5):
        links.data(1, sequence, size=600)
        links.read()
    assert {key.fd for key in links.selector.get_map().values()} == {links.reading[0]}

    links.data(0, 0)

    assert links.sequences() == [0, 1]
    assert len(links.selector.get_map()) == 2


def test_end_on_every_link_is_the_end(linked):
    links = linked()
    links.data(0, 0)
    links.mark(END, 1, 1)
    assert links.sequences() == [0]
    assert not links.returns.ended

    links.mark(END, 0, 1)
    assert links.sequences() == []
    assert links.returns.ended


def test_end_is_read_from_every_link_however_little_room_there_is(linked):
    links = linked(3, limit=1)
    links.returns.begin_turns()
    for number in range(3):
        links.mark(END, number, 0)
    for _ in range(3):
        links.read()
        links.sequences()

    assert links.returns.ended


def test_an_end_with_something_missing_is_a_fault(linked):
    links = linked()
    links.mark(END, 0, 5)

    with pytest.raises(BadFrame, match="END after 5 frames, but 0 came"):
        links.sequences()


def test_a_link_that_ends_without_end_is_broken(linked):
    links = linked()
    links.data(0, 0)
    links.shut(1)

    assert links.sequences() == [0]
    links.read()
    assert list(links.returns.frames(1)) == []
    assert links.returns.broken


def test_a_link_that_ends_inside_a_frame_is_a_fault(linked):
    links = linked(1)
    os.write(links.writing[0], b"SgRn")
    links.shut(0)

    links.read()
    with pytest.raises(BadFrame, match="inside a frame"):
        links.sequences()


@pytest.mark.parametrize("header", [Header(DATA, 0, 1, 7), Header(DATA, 0, 2, 0)])
def test_a_frame_out_of_its_turn_or_epoch_is_a_fault(linked, header):
    links = linked(1)
    send(links.writing[0], header, b"")

    with pytest.raises(BadFrame, match="where 0 was due"):
        links.sequences()


LINES = [(0, 0, 41, ""), (0, 1, 42, "no"), (1, 0, 43, "")]


def test_ready_is_heard_from_every_link(linked):
    links = linked()
    links.mark(READY, 0, payload=pickle.dumps(LINES[:2]))
    links.read()
    assert links.returns.ready_lines() is None

    links.mark(READY, 1, payload=pickle.dumps(LINES[1:]))
    links.read()
    assert links.returns.ready_lines() == LINES


def test_ready_comes_in_pieces_and_frames_can_be_waiting_behind_it(linked):
    links = linked(1)
    data = pickle.dumps(LINES)
    links.mark(READY, 0, payload=data[:20], more=1)
    links.read()
    assert links.returns.ready_lines() is None

    links.mark(READY, 0, payload=data[20:])
    links.data(0, 0)
    links.data(0, 1)
    links.read()

    assert links.returns.ready_lines() == LINES
    assert links.sequences() == [0, 1]


def test_anything_before_ready_is_a_fault(linked):
    links = linked(1)
    links.data(0, 0)
    links.read()

    with pytest.raises(BadFrame, match="no READY"):
        links.returns.ready_lines()


def test_a_worker_that_leaves_before_it_is_ready_breaks_the_link(linked):
    links = linked(1)
    links.shut(0)
    links.read()

    assert links.returns.ready_lines() is None
    assert links.returns.broken


def test_a_link_that_is_through_before_another_is_ready_breaks_nothing(linked):
    links = linked()
    links.mark(READY, 0, payload=pickle.dumps(LINES[:2]))
    links.data(0, 0)
    links.mark(END, 0, 1)
    links.shut(0)
    for _ in range(2):
        links.read()
    assert links.returns.ready_lines() is None
    assert not links.returns.broken

    links.mark(READY, 1, payload=pickle.dumps(LINES[1:]))
    links.mark(END, 1, 1)
    links.read()
    assert links.returns.ready_lines() == LINES
    assert links.sequences() == [0]
    links.sequences()
    assert links.returns.ended


def test_a_link_that_ends_behind_ready_but_without_end_is_broken_though_another_is_not_ready(linked):
    links = linked()
    links.mark(READY, 0, payload=pickle.dumps(LINES[:2]))
    links.shut(0)
    for _ in range(2):
        links.read()

    assert links.returns.ready_lines() is None
    assert links.returns.broken


def test_what_nobody_takes_is_not_read_on_and_on(linked):
    links = linked(1, limit=50_000)
    links.returns.begin_turns()
    for sequence in range(5):
        links.data(0, sequence, size=12_000)
    links.read()
    held = links.returns.holding.bytes
    assert held > 50_000

    for sequence in range(5, 9):
        links.data(0, sequence, size=12_000)
    for _ in range(5):
        links.read()
    assert links.returns.holding.bytes == held

    taken = links.sequences()
    while len(taken) < 9:
        taken += links.sequences()
    assert taken == list(range(9))
    assert links.returns.holding.bytes == 0


def test_large_frames_out_of_turn_share_the_room_there_is(linked):
    """Memory is taken for a large frame when it begins: of many at once only as many as there is room for begin."""
    links = linked(8, limit=2**20)
    links.returns.begin_turns()
    for number in range(1, 8):
        os.write(links.writing[number], pack_header(Header(DATA, 0, 1, number, length=2**20)) + bytes(50_000))
    for _ in range(20):
        links.read()

    assert links.returns.holding.bytes <= 2**21


def test_a_large_frame_that_comes_bit_by_bit_is_held_for_what_it_is(linked):
    links = linked(1)
    links.returns.begin_turns()
    os.write(links.writing[0], pack_header(Header(DATA, 0, 1, 0, length=200_000)) + bytes(50_000))
    links.read()
    assert links.returns.holding.bytes == 200_000

    for size in (60_000, 60_000, 30_000):
        os.write(links.writing[0], bytes(size))
        links.read()
    assert links.returns.holding.bytes == 200_000 + CHARGE
    assert links.sequences() == [0]
    assert links.returns.holding.bytes == 0
