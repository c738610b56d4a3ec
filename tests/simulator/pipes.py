"""Bounded pipes: bytes move in any portions, and a frame arrives with its last byte."""

from __future__ import annotations

from collections import deque
from typing import Any

from stagerunner.records import Counts, Failure, QuarantineKey, Spread
from stagerunner.wire.frame import BadFrame, Frame, Header


class SimFrame:
    """A frame on a simulated pipe: header, size in bytes, and content as plain objects.

    content: (origin, value) pairs, or the body of a control frame. real: the real frame, on return pipes only.
    """

    __slots__ = ("content", "counts", "failures", "header", "quarantined", "real", "size", "spreads", "stop")

    def __init__(self, header: Header, content: Any, size: int) -> None:
        self.header = header
        self.content = content
        self.size = size
        self.failures: list[Failure] = []
        self.counts: list[Counts] = []
        self.spreads: list[tuple[int, Spread]] = []
        self.quarantined: dict[QuarantineKey, tuple[str, str]] = {}
        self.stop = -1
        self.real: Frame | None = None


class SimPipe:
    """One writer, one reader, `capacity` bytes in between. Frames that were put wait until `pump` writes them."""

    __slots__ = ("_capacity", "_put", "_queue", "_read", "_written", "fills", "reader_gone", "writer_gone")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._queue: deque[tuple[int, SimFrame]] = deque()
        self._put = self._written = self._read = self.fills = 0
        self.reader_gone = self.writer_gone = False

    def put(self, frame: SimFrame) -> None:
        self._put += frame.size
        self._queue.append((self._put, frame))

    @property
    def flushed(self) -> bool:
        return self._written == self._put

    def pump(self) -> bool:
        """Write as much as there is room for. Returns whether that was anything."""
        room = min(self._put - self._written, self._capacity - self._written + self._read)
        if room <= 0 or self.writer_gone:
            return False
        self._written += room
        return True

    def fill(self) -> bool:
        """Read everything written. Returns whether that was anything."""
        if self._read == self._written:
            return False
        self._read = self._written
        self.fills += 1
        return True

    def take(self) -> SimFrame | None:
        """The next frame, if it was read completely."""
        if self._queue and self._queue[0][0] <= self._read:
            return self._queue.popleft()[1]
        return None

    @property
    def torn(self) -> bool:
        """Whether the last bytes read are only a part of a frame."""
        start = self._queue[0][0] - self._queue[0][1].size if self._queue else self._read
        return start < self._read

    @property
    def single(self) -> bool:
        """Whether exactly one whole frame was read and not taken."""
        return bool(self._queue) and self._queue[0][0] == self._read

    def here(self) -> list[SimFrame]:
        """All frames that were written completely and not taken."""
        return [frame for end, frame in self._queue if end <= self._written]


class SimReturnPipe:
    """The interface of a real inbound pipe (`wire.pipe`), for the parent's real `Returns`."""

    reserved = 0

    def __init__(self, fd: int, pipe: SimPipe) -> None:
        self.fd = fd
        self.pipe = pipe
        self.ended = False

    def only(self) -> Frame | None:
        """As in the real one: a frame, if nothing was held and one read brings exactly that frame."""
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
        frame = self.pipe.take()
        return None if frame is None else frame.real

    def check_empty(self) -> None:
        if self.pipe.torn:
            raise BadFrame("a pipe ended inside a frame")


class SimSelector:
    """A stub of the selector: remembers the registered readers; the scheduler decides when they run."""

    def __init__(self) -> None:
        self.readers: dict[int, Any] = {}

    def register(self, fd: int, events: int, data: Any) -> None:
        self.readers[fd] = data

    def unregister(self, fd: int) -> None:
        del self.readers[fd]

    def select(self, timeout: float | None = None) -> list[Any]:
        return []
