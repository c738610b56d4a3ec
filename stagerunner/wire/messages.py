"""Messages between the parent and its fork server, over their socket: plain data, and descriptors."""

from __future__ import annotations

import array
import errno
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol


class Closable(Protocol):
    def close(self) -> None: ...


LENGTH = struct.Struct("<I")
MOST_DESCRIPTORS = 250
"""Descriptors that fit one message (the kernel's SCM_MAX_FD is 253)."""


Part = tuple[memoryview, list[int]]
"""Bytes that are sent in one call, and the descriptors sent with them."""


def parts_of(message: Any, descriptors: Sequence[int] = ()) -> list[Part]:
    """A message in the parts in which it is sent. A part with descriptors is one byte: it is never sent in half."""
    data = pickle.dumps(message, 5)
    rest = memoryview(LENGTH.pack(len(data)) + LENGTH.pack(len(descriptors)) + data)
    parts: list[Part] = []
    for start in range(0, len(descriptors), MOST_DESCRIPTORS):
        parts.append((rest[:1], list(descriptors[start : start + MOST_DESCRIPTORS])))
        rest = rest[1:]
    return [*parts, (rest, [])]


def send_message(sock: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send one message with its descriptors, waiting as long as it takes."""
    for data, taken in parts_of(message, descriptors):
        if taken:
            socket.send_fds(sock, [data], taken)
        else:
            sock.sendall(data)


class Outbox:
    """Sends messages without waiting: what the socket doesn't take now is queued.

    Descriptors belong to the outbox once they are put in. It closes them when they are sent, for the other side has
    copies then.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parts: deque[Part] = deque()
        self._owned: deque[tuple[int, Sequence[Closable]]] = deque()
        """For each message: the number of its last part, and what to close when that is sent."""
        self._put = self._sent = 0
        self._begun = False

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def torn(self) -> bool:
        """Whether a message was sent in part: no other message can follow it."""
        return self._begun

    def put(self, message: Any, descriptors: Sequence[int] = (), owned: Sequence[Closable] = ()) -> None:
        """Queue a message. owned: what to close once it is sent."""
        parts = parts_of(message, descriptors)
        self._parts += parts
        self._put += len(parts)
        self._owned.append((self._put, owned))

    def send(self) -> bool:
        """Send what the socket takes of the oldest message, without waiting. Returns whether it is sent whole.

        Raises OSError if the other side is gone.
        """
        while self._parts:
            data, descriptors = self._parts[0]
            sent = self._try(data, descriptors)
            if sent < len(data):
                if sent:
                    self._parts[0] = data[sent:], descriptors
                self._begun |= sent > 0
                return False
            self._parts.popleft()
            self._sent += 1
            if self._sent == self._owned[0][0]:
                self._begun = False
                close_all(self._owned.popleft()[1])
                return True
            self._begun = True
        return False

    def _try(self, data: memoryview, descriptors: list[int]) -> int:
        numbers = array.array("i", descriptors)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if descriptors else []
        try:
            return self._sock.sendmsg([data], ancillary, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def clear(self) -> None:
        """Drop what is queued."""
        self._parts.clear()
        self._sent = self._put
        while self._owned:
            close_all(self._owned.popleft()[1])


def close_all(ones: Iterable[Closable]) -> None:
    """Close each of them, also those whose descriptor a plugin has closed already: their `__del__` would complain on
    standard error."""
    for one in ones:
        with suppress(OSError):
            one.close()


def receive_message(sock: socket.socket) -> tuple[Any, list[int]] | None:
    """The next message and its descriptors; None if the other side is gone.

    Raises OSError if this process may not open that many descriptors.
    """
    descriptors: list[int] = []
    head = _receive(sock, 2 * LENGTH.size, descriptors)
    if head is None:
        return None
    length, count = LENGTH.unpack_from(head)[0], LENGTH.unpack_from(head, LENGTH.size)[0]
    data = _receive(sock, length, descriptors)
    if data is None or len(descriptors) != count:
        return None
    return pickle.loads(data), descriptors


def _receive(sock: socket.socket, size: int, descriptors: list[int]) -> bytes | None:
    data = bytearray()
    space = socket.CMSG_LEN(MOST_DESCRIPTORS * array.array("i").itemsize)
    while len(data) < size:
        try:
            piece, ancillary, flags, _ = sock.recvmsg(size - len(data), space)
        except ConnectionResetError:  # the other side ended with something unread
            return None
        if flags & socket.MSG_CTRUNC:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                descriptors.extend(numbers)
        if not piece:
            return None
        data += piece
    return bytes(data)
