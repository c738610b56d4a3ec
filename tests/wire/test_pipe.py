from __future__ import annotations

import os
import threading

import pytest

from stagerunner.records import DATA, END, READY
from stagerunner.wire.frame import CONTROL, SIZE, BadFrame, Frame, Header
from stagerunner.wire.pipe import ROOM, ControlMessage, Inbound, Outbound, send, send_pieces, widen, write_all

LIMIT = 10**8


@pytest.fixture
def pipe():
    """A pipe's reading and writing end; closed afterwards, whoever closed one already."""
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            pass


def frame(sequence: int) -> Header:
    return Header(2, 0, 1, sequence)


def in_background(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


@pytest.mark.parametrize("size", [0, 1, ROOM - SIZE, ROOM, ROOM + 1, 5_000_000])
def test_a_frame_of_any_size_arrives_whole(pipe, size):
    reading, writing = pipe
    sender = in_background(send, writing, frame(3), b"a" * (size // 2), b"b" * (size - size // 2))

    header, payload = Inbound(reading, LIMIT).read()
    sender.join()

    assert (header.sequence, header.length) == (3, size)
    assert bytes(payload) == b"a" * (size // 2) + b"b" * (size - size // 2)


def test_frames_arrive_in_order_and_then_the_end(pipe):
    reading, writing = pipe
    for sequence in range(100):
        send(writing, frame(sequence), b"x" * sequence)
    os.close(writing)
    pipe = Inbound(reading, LIMIT)

    assert [pipe.read().header.sequence for _ in range(100)] == list(range(100))
    assert pipe.read() is None
    assert pipe.ended
    pipe.check_empty()


def test_an_end_inside_a_frame_is_a_bad_frame(pipe):
    reading, writing = pipe
    os.write(writing, b"SgRn")
    os.close(writing)
    pipe = Inbound(reading, LIMIT)

    assert pipe.read() is None
    with pytest.raises(BadFrame, match="inside a frame"):
        pipe.check_empty()


def test_a_read_that_would_wait_raises(pipe):
    reading, writing = pipe
    os.set_blocking(reading, False)
    pipe = Inbound(reading, LIMIT)

    with pytest.raises(BlockingIOError):
        pipe.fill()

    send(writing, frame(1))
    assert pipe.fill()
    assert pipe.take().header.sequence == 1
    assert pipe.take() is None


def test_what_can_not_be_written_yet_is_queued(pipe):
    reading, writing = pipe
    os.set_blocking(writing, False)
    out, pipe = Outbound(writing), Inbound(reading, LIMIT)
    for sequence in range(30):
        out.put(frame(sequence), b"x" * 10_000, b"y" * 10_000)
    assert out.queued > 0

    for sequence in range(30):
        while (got := pipe.take()) is None:
            out.pump()
            pipe.fill()
        assert (got.header.sequence, len(got.payload)) == (sequence, 20_000)
    assert out.queued == 0


def test_many_small_frames_go_out_whatever_their_number(pipe):
    reading, writing = pipe
    os.set_blocking(writing, False)
    out, pipe = Outbound(writing), Inbound(reading, LIMIT)
    for sequence in range(5000):
        out.put(frame(sequence), b"x")
    while out.queued:
        out.pump()
        pipe.fill()
        while pipe.take():
            pass

    assert out.queued == 0


def test_writing_without_a_reader_is_a_broken_pipe(pipe):
    reading, writing = pipe
    os.close(reading)

    with pytest.raises(BrokenPipeError):
        Outbound(writing).put(frame(0), b"x")
    with pytest.raises(BrokenPipeError):
        write_all(writing, [b"x"], 1)


def test_a_pipe_that_can_not_be_widened_keeps_working(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        widen(file.fileno())


# Messages longer than a control frame


@pytest.fixture
def ends():
    reader, writer = os.pipe()
    yield Inbound(reader, 2**20), writer
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("size", [0, 1, CONTROL, CONTROL + 1, 5 * CONTROL])
def test_a_message_of_any_length_comes_back_whole(ends, size):
    pipe, fd = ends
    data = os.urandom(size)
    send_pieces(fd, Header(READY, 0, 3, 0), data)
    message, frames = ControlMessage(READY), 0
    while not message.whole:
        frame = pipe.read()
        assert (frame.header.epoch, frame.header.piece, frame.header.length <= CONTROL) == (3, frames, True)
        frames += 1
        message.add(frame)

    assert (message.data, frames) == (data, max(1, -(-size // CONTROL)))
    assert pipe.spent


def test_a_frame_of_another_kind_is_refused():
    message = ControlMessage(END)

    with pytest.raises(BadFrame, match="DATA where END was due"):
        message.add(Frame(Header(DATA, 0, 1, 0), b"x"))
