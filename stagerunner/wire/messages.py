"""What the parent and its fork server tell each other over their socket: plain data, and descriptors.

A module of its own, so that the parent needn't import what the fork server forks.
"""

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
"""Bytes of a message that are sent together, and the descriptors that go with them."""


def parts_of(message: Any, descriptors: Sequence[int] = ()) -> list[Part]:
    """A message as it is sent. A part with descriptors has one byte: it is sent whole or not at all."""
    data = pickle.dumps(message, 5)
    rest = memoryview(LENGTH.pack(len(data)) + LENGTH.pack(len(descriptors)) + data)
    parts: list[Part] = []
    for start in range(0, len(descriptors), MOST_DESCRIPTORS):
        parts.append((rest[:1], list(descriptors[start : start + MOST_DESCRIPTORS])))
        rest = rest[1:]
    return [*parts, (rest, [])]


def tell(sock: socket.socket, message: Any, descriptors: Sequence[int] = ()) -> None:
    """Send one message and the descriptors that go with it, waiting as long as it takes."""
    for data, taken in parts_of(message, descriptors):
        if taken:
            socket.send_fds(sock, [data], taken)
        else:
            sock.sendall(data)


class Outbox:
    """Messages on their way to somebody who may take his time: what the socket doesn't take now waits here.

    What is put in belongs to the outbox until it is sent: then the descriptors are closed, for the other side has its
    own.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parts: deque[Part] = deque()
        self._owned: deque[tuple[int, Sequence[Closable]]] = deque()
        """(parts put in up to the last of a message, what to close when that is sent)."""
        self._put = self._sent = 0
        self._begun = False

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def torn(self) -> bool:
        """A message was sent in part: nothing else can be told any more."""
        return self._begun

    def put(self, message: Any, descriptors: Sequence[int] = (), owned: Sequence[Closable] = ()) -> None:
        """Have this sent. owned: what to close then."""
        parts = parts_of(message, descriptors)
        self._parts += parts
        self._put += len(parts)
        self._owned.append((self._put, owned))

    def send(self) -> bool:
        """Send what can be sent of the message that waits longest; whether that was all of it. Never waits.

        Raises OSError when the other side is gone.
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
        """Send nothing more of what waits."""
        self._parts.clear()
        self._sent = self._put
        while self._owned:
            close_all(self._owned.popleft()[1])


def close_all(ones: Iterable[Closable]) -> None:
    """Close each of them. Where a plugin has closed the descriptor already, a connection only forgets it: its `__del__`
    would complain on standard error."""
    for one in ones:
        with suppress(OSError):
            one.close()


def hear(sock: socket.socket) -> tuple[Any, list[int]] | None:
    """The next message and its descriptors; None when the other side is gone.

    Raises OSError when this process may not have as many descriptors.
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
        except ConnectionResetError:  # it is gone, and has left something unread
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
