"""What the parent and its keeper tell each other over their socket: plain data, and descriptors.

A module of its own, so that the parent needn't import what the keeper forks.
"""

from __future__ import annotations

import array
import pickle
import socket
import struct
from typing import Any

LENGTH = struct.Struct("<I")
MOST_DESCRIPTORS = 250
"""Descriptors that fit one message (the kernel's SCM_MAX_FD is 253)."""


def tell(sock: socket.socket, message: Any, descriptors: list[int] | None = None) -> None:
    """Send one message and the descriptors that go with it, waiting as long as it takes."""
    data = pickle.dumps(message, 5)
    rest = memoryview(LENGTH.pack(len(data)) + LENGTH.pack(len(descriptors or ())) + data)
    if descriptors:
        for start in range(0, len(descriptors), MOST_DESCRIPTORS):
            socket.send_fds(sock, [rest[:1]], descriptors[start : start + MOST_DESCRIPTORS])
            rest = rest[1:]
    sock.sendall(rest)


def hear(sock: socket.socket) -> tuple[Any, list[int]] | None:
    """The next message and its descriptors; None when the other side is gone."""
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
            piece, ancillary, _, _ = sock.recvmsg(size - len(data), space)
        except ConnectionResetError:  # it is gone, and has left something unread
            return None
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                descriptors.extend(numbers)
        if not piece:
            return None
        data += piece
    return bytes(data)
