"""Pipes: reading and writing frames on bare descriptors.

Workers block; the parent never does. Each pipe has one reader and one writer and belongs to one epoch. So there are no
locks, and a torn frame can only be the last one of an epoch that has failed.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from stagerunner import failpoints
from stagerunner.records import KINDS
from stagerunner.wire.frame import CONTROL, MORE, SIZE, BadFrame, Frame, Header, pack_header, unpack_header

ROOM = 2 * 65536
"""Bytes of one read: two frames of small records, so that one read nearly always gets a whole frame."""

HUGE = 2**22
"""Bytes from which on a frame gets a memory mapping of its own, which goes back to the system with the frame. The
allocator would keep the memory: with frames of 6 MB the parent would hold four times as much as it uses."""

CAPACITY = 2**20
"""Bytes a pipe should hold, if the system allows it (on Linux, up to a user's quota)."""

MOST_VECTORS = 64
"""Buffers in one writev; below every system's IOV_MAX."""


def widen(fd: int) -> None:
    """Ask for a pipe of CAPACITY bytes, so that writers block less often. If it is refused, 64 KiB work as well."""
    with suppress(OSError):
        fcntl.fcntl(fd, getattr(fcntl, "F_SETPIPE_SZ", 1031), CAPACITY)


class Inbound:
    """The reading end of a pipe. limit: bytes a frame's payload may have.

    passing: the caller is done with a frame before it reads the next, so payloads needn't be copied out of the buffer.
    """

    def __init__(self, fd: int, limit: int, *, passing: bool = False) -> None:
        self.fd = fd
        self._passing = passing
        self.ended = False
        self._limit = limit
        self._buffer = bytearray(ROOM + SIZE)
        self._view = memoryview(self._buffer)
        self._whole = [self._view]
        self._start = self._end = 0
        self._header: Header | None = None
        self._large: bytearray | mmap | None = None
        self._filled = 0

    def only(self) -> Frame | None:
        """The next frame, if the buffer is empty and one read gets exactly that frame, as it usually does.

        Otherwise None; then call `take` and `fill`. Waits, or raises BlockingIOError. Raises BadFrame.
        """
        if self._start != self._end or self._header is not None:
            return None
        came = os.readv(self.fd, self._whole)
        if came >= SIZE:
            header = unpack_header(self._view, self._limit)
            if SIZE + header.length == came:
                payload = self._view[SIZE:came] if self._passing else self._buffer[SIZE:came]
                return tuple.__new__(Frame, (header, payload))
        self._start, self._end, self.ended = 0, came, came == 0
        return None

    def read(self) -> Frame | None:
        """The next frame, waiting for it; None at the end of the pipe. Raises BadFrame."""
        frame = self.only()
        while frame is None and not self.ended and (frame := self.take()) is None:
            self.fill()
        return frame

    def fill(self) -> bool:
        """Read once into the buffer. False at the end of the pipe; raises BlockingIOError if it would wait."""
        if self._large is not None:
            count = os.readv(self.fd, [memoryview(self._large)[self._filled :]])
            self._filled += count
        elif self._start == self._end:
            self._start, self._end = 0, (count := os.readv(self.fd, self._whole))
        else:
            self._compact()
            count = os.readv(self.fd, [self._view[self._end :]])
            self._end += count
        self.ended = count == 0
        return not self.ended

    @property
    def reserved(self) -> int:
        """Bytes of memory allocated for a frame that hasn't arrived whole."""
        return 0 if self._large is None else len(self._large)

    @property
    def spent(self) -> bool:
        """Whether everything read has been taken."""
        return self._start == self._end and self._header is None

    def take(self) -> Frame | None:
        """The next frame, if it has arrived whole; else None. Raises BadFrame for an invalid header."""
        header = self._header
        if header is None:
            start = self._start
            if self._end - start < SIZE:
                return None
            header = self._header = unpack_header(self._view, self._limit, start)
            self._start = start + SIZE
        payload: bytearray | memoryview
        if self._large is not None:
            if self._filled < header.length:
                return None
            payload, self._large = memoryview(self._large), None
        else:
            start, stop = self._start, self._start + header.length
            if self._end < stop:
                self._maybe_large(header.length)
                return None
            payload = self._view[start:stop] if self._passing else self._buffer[start:stop]
            self._start = stop
        self._header = None
        return tuple.__new__(Frame, (header, payload))

    def _maybe_large(self, length: int) -> None:
        """Give a payload that doesn't fit the buffer its own memory, to be read straight into it."""
        if length <= ROOM:
            return
        here = self._end - self._start
        self._large = bytearray(length) if length < HUGE else mmap(-1, length, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        self._large[:here] = self._view[self._start : self._end]
        self._filled, self._start, self._end = here, 0, 0

    def _compact(self) -> None:
        if self._start:
            here = self._end - self._start
            self._buffer[:here] = self._buffer[self._start : self._end]
            self._start, self._end = 0, here

    def check_empty(self) -> None:
        """Raises BadFrame if the pipe ended inside a frame."""
        if self._header is not None or self._start != self._end:
            raise BadFrame("a pipe ended inside a frame")


def write_all(fd: int, buffers: list[bytes | bytearray | memoryview], length: int) -> None:
    """Write everything, `length` bytes, waiting as long as it takes."""
    written = os.writev(fd, buffers)
    if written != length:  # rare: a pipe of CAPACITY bytes holds several frames
        _write_rest(fd, buffers, written)


def write_records(fd: int, buffers: list[bytes | bytearray | memoryview], length: int) -> None:
    """`write_all` for a frame of records, its header first."""
    if failpoints.asked and failpoints.reached("torn frame"):
        os.write(fd, buffers[0][:20])
        failpoints.die()
    written = os.writev(fd, buffers)
    if written != length:
        _write_rest(fd, buffers, written)


def _write_rest(fd: int, buffers: list[bytes | bytearray | memoryview], written: int) -> None:
    views = [memoryview(buffer) for buffer in buffers if len(buffer)]
    _advance(views, written)
    while views:
        _advance(views, os.writev(fd, views))


def send(fd: int, header: Header, *payload: bytes | bytearray | memoryview) -> None:
    """Write one frame, waiting as long as it takes."""
    length = sum(map(len, payload))
    write_all(fd, [pack_header(header, length), *payload], SIZE + length)


class Outbound:
    """The writing end of a pipe, without waiting: what can't be written yet is queued. queued: its bytes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._views: deque[memoryview] = deque()
        self.queued = 0

    def put(self, header: Header, *payload: bytes | bytearray | memoryview) -> None:
        """Write one frame as far as the pipe takes it, and queue the rest."""
        length = sum(map(len, payload))
        parts = [pack_header(header, length), *payload]
        written = 0
        if not self.queued:
            with suppress(BlockingIOError):
                written = os.writev(self.fd, parts)
        if written == SIZE + length:
            return  # the usual case
        views = [memoryview(part) for part in parts if len(part)]
        _advance(views, written)
        self._views += views
        self.queued += SIZE + length - written
        self.pump()

    def _try(self, parts: Sequence[bytes | bytearray | memoryview]) -> int:
        """Write without waiting: how many bytes were written."""
        try:
            return os.writev(self.fd, parts)
        except BlockingIOError:
            return 0

    def pump(self) -> None:
        """Write what the pipe takes of the queue. Raises BrokenPipeError if the reader is gone."""
        while self._views:
            head = [self._views.popleft() for _ in range(min(len(self._views), MOST_VECTORS))]
            written = self._try(head)
            self.queued -= written
            _advance(head, written)
            self._views.extendleft(reversed(head))
            if head:
                return


def _advance(views: list[memoryview], written: int) -> None:
    """Remove `written` bytes from the front."""
    while views and written >= len(views[0]):
        written -= len(views.pop(0))
    if written:
        views[0] = views[0][written:]


# Messages longer than a control frame


def send_pieces(fd: int, header: Header, data: bytes) -> None:
    """Write a control message in as many frames as it needs, waiting as long as it takes."""
    for number, start in enumerate(range(0, max(1, len(data)), CONTROL)):
        more = MORE if start + CONTROL < len(data) else 0
        send(fd, header._replace(piece=number, flags=more), data[start : start + CONTROL])


class ControlMessage:
    """A message of one kind, put together from its frames."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self.data = bytearray()
        self.whole = False

    def add(self, frame: Frame) -> bool:
        """Add the next piece. Returns whether the message is complete. Raises BadFrame for a frame of another kind."""
        if frame.header.kind != self._kind:
            raise BadFrame(f"{KINDS.get(frame.header.kind, 'a frame')} where {KINDS[self._kind]} was due")
        self.data += frame.payload
        self.whole = not frame.header.more
        return self.whole
