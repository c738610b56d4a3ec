from __future__ import annotations

import os

import pytest

from stagerunner.records import DATA, END, READY
from stagerunner.wire.control import ControlMessage, send_pieces
from stagerunner.wire.frame import CONTROL, BadFrame, Frame, Header
from stagerunner.wire.pipe import Inbound


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
