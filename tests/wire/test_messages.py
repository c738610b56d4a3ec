from __future__ import annotations

import os
import socket
import threading

import pytest

from stagerunner.wire.messages import MOST_DESCRIPTORS, Outbox, receive_message, send_message


@pytest.fixture
def sockets():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_message_arrives_whole(sockets):
    ours, theirs = sockets

    send_message(ours, {"any": ["plain", 1, None]})

    assert receive_message(theirs) == ({"any": ["plain", 1, None]}, [])


def test_messages_arrive_one_by_one(sockets):
    ours, theirs = sockets
    for number in range(10):
        send_message(ours, number)

    assert [receive_message(theirs)[0] for _ in range(10)] == list(range(10))


def test_a_message_larger_than_the_sockets_buffer_arrives(sockets):
    ours, theirs = sockets
    sending = threading.Thread(target=send_message, args=(ours, b"x" * 10**7))
    sending.start()

    message, _ = receive_message(theirs)
    sending.join()

    assert message == b"x" * 10**7


@pytest.mark.parametrize("count", [1, MOST_DESCRIPTORS, MOST_DESCRIPTORS + 1, 3 * MOST_DESCRIPTORS])
def test_descriptors_arrive_however_many_they_are(sockets, count):
    ours, theirs = sockets
    reading, writing = os.pipe()
    heard: list[int] = []
    sending = threading.Thread(target=send_message, args=(ours, "take these", [writing] * count))
    sending.start()
    try:
        message, heard = receive_message(theirs)
        sending.join()
        os.write(heard[-1], b"through")
        assert (message, len(heard), os.read(reading, 10)) == ("take these", count, b"through")
    finally:
        for fd in (reading, writing, *heard):
            os.close(fd)


def test_the_end_of_the_other_side_is_noticed(sockets):
    ours, theirs = sockets
    ours.close()

    assert receive_message(theirs) is None


def test_a_message_cut_off_is_the_end(sockets):
    ours, theirs = sockets
    ours.sendall(b"\x10\x00\x00\x00\x00\x00\x00\x00abc")
    ours.close()

    assert receive_message(theirs) is None


def test_an_end_that_leaves_something_unread_is_an_end(sockets):
    ours, theirs = sockets
    theirs.sendall(b"unread")
    ours.close()

    assert receive_message(theirs) is None


class End:
    """Something to be closed."""

    closed = False

    def close(self):
        self.closed = True


def test_an_outbox_never_waits_and_what_it_sends_arrives_in_order(sockets):
    ours, theirs = sockets
    outbox, end = Outbox(ours), End()
    for number in range(3):
        outbox.put((number, b"x" * 10**6), [0, 1], [end])

    assert not outbox.send()
    assert outbox.torn
    assert not end.closed

    heard: list[tuple] = []
    listening = threading.Thread(target=lambda: heard.extend(receive_message(theirs) for _ in range(3)))
    listening.start()
    while outbox:
        outbox.send()
    listening.join()

    for (number, text), descriptors in heard:
        assert (len(text), len(descriptors)) == (10**6, 2)
        for descriptor in descriptors:
            os.close(descriptor)
    assert [message[0] for message, _ in heard] == [0, 1, 2]
    assert not outbox.torn
    assert end.closed


def test_an_outbox_sends_one_message_at_a_time(sockets):
    outbox = Outbox(sockets[0])
    outbox.put("one")
    outbox.put("two")

    assert outbox.send()
    assert receive_message(sockets[1]) == ("one", [])
    assert outbox.send()
    assert not outbox


def test_clearing_an_outbox_closes_its_descriptors(sockets):
    outbox, end = Outbox(sockets[0]), End()
    outbox.put("one", [0], [end])

    outbox.clear()

    assert end.closed
    assert not outbox
    assert not outbox.torn


def test_an_outbox_says_that_the_other_side_is_gone(sockets):
    outbox = Outbox(sockets[0])
    outbox.put("one")
    sockets[1].close()

    with pytest.raises(BrokenPipeError):
        outbox.send()
