"""Bounded pipes: bytes go in and out in any portions, a frame is there when all its bytes are."""

from __future__ import annotations

from collections import deque
from typing import Any

from stagerunner.records import Counts, Failure, QuarantineKey
from stagerunner.wire.frame import BadFrame, Frame, Header


class Parcel:
    """A frame on a simulated link: the header, how many bytes it has, and its content as plain objects.

    content: (origin, value) pairs, or the body of a control frame. frame: the real frame, on return links only.
    """

    __slots__ = ("content", "counts", "failures", "frame", "header", "quarantined", "size", "stop")

    def __init__(self, header: Header, content: Any, size: int) -> None:
        self.header = header
        self.content = content
        self.size = size
        self.failures: list[Failure] = []
        self.counts: list[Counts] = []
        self.quarantined: dict[QuarantineKey, tuple[str, str]] = {}
        self.stop = -1
        self.frame: Frame | None = None


class SimPipe:
    """One writer, one reader, `capacity` bytes in between. What is put waits at the writer until it is written."""

    __slots__ = ("_capacity", "_put", "_queue", "_read", "_written", "fills", "reader_gone", "writer_gone")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._queue: deque[tuple[int, Parcel]] = deque()
        self._put = self._written = self._read = self.fills = 0
        self.reader_gone = self.writer_gone = False

    def put(self, parcel: Parcel) -> None:
        self._put += parcel.size
        self._queue.append((self._put, parcel))

    @property
    def flushed(self) -> bool:
        return self._written == self._put

    def pump(self) -> bool:
        """Write what there is room for; whether that was anything."""
        room = min(self._put - self._written, self._capacity - self._written + self._read)
        if room <= 0 or self.writer_gone:
            return False
        self._written += room
        return True

    def fill(self) -> bool:
        """Read what there is; whether that was anything."""
        if self._read == self._written:
            return False
        self._read = self._written
        self.fills += 1
        return True

    def take(self) -> Parcel | None:
        """The next parcel, if all of it was read."""
        if self._queue and self._queue[0][0] <= self._read:
            return self._queue.popleft()[1]
        return None

    @property
    def torn(self) -> bool:
        """The last thing read is a part of a frame."""
        start = self._queue[0][0] - self._queue[0][1].size if self._queue else self._read
        return start < self._read

    @property
    def single(self) -> bool:
        """What was read and not taken is one frame, to its last byte."""
        return bool(self._queue) and self._queue[0][0] == self._read

    def here(self) -> list[Parcel]:
        """Everything written whole and not yet taken."""
        return [parcel for end, parcel in self._queue if end <= self._written]


class SimReturnPipe:
    """A pipe as the parent's real `Returns` sees it: the face of `chain.links.Inbound`."""

    reserved = 0

    def __init__(self, fd: int, pipe: SimPipe) -> None:
        self.fd = fd
        self.pipe = pipe
        self.ended = False

    def only(self) -> Frame | None:
        """As the real one: a frame, if nothing was here and one read brings that frame and nothing else."""
        return self.take() if self.spent and self.fill() and self.pipe.single else None

    def fill(self) -> bool:
        if self.pipe.fill():
            return True
        if not self.pipe.writer_gone:
            raise BlockingIOError
        self.ended = True
        return False

    @property
    def spent(self) -> bool:
        return not self.pipe.torn

    def take(self) -> Frame | None:
        parcel = self.pipe.take()
        return None if parcel is None else parcel.frame

    def check_empty(self) -> None:
        if self.pipe.torn:
            raise BadFrame("a link ended inside a frame")


class Watched:
    """The selector's stub: remembers who wants to read what; the scheduler decides when they may."""

    def __init__(self) -> None:
        self.readers: dict[int, Any] = {}

    def register(self, fd: int, events: int, data: Any) -> None:
        self.readers[fd] = data

    def unregister(self, fd: int) -> None:
        del self.readers[fd]

    def select(self, timeout: float | None = None) -> list[Any]:
        return []
