"""A simulated worker of a stage that gathers its records in lists, across frames.

Frames are taken in until a list is full. A list is called as a whole, its results are dealt to their frames by
position, and the frames leave in sequence. No list is called because time has passed: it is called when it is full,
before a frame that has to be worked on alone, or when the page says that nothing more can be sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator

from simulator.behaviour import Flaw
from simulator.frame_context import SimPiece, SimSlot, SimStop
from simulator.overlap import IDLE
from simulator.pipes import SimFrame, SimPipe
from simulator.runners import SimRunner, SimStages
from simulator.workers import Left, SimWorker

from stagerunner.records import BARRIER, DATA, END, FLUSH, SKIP

Outcome = list[int] | Flaw


class OpenFrame:
    """One frame, taken in and not sent on. waiting: values of records that no call has had.

    outcomes: of those that were called, in order.
    """

    def __init__(self, sequence: int, runner: SimRunner) -> None:
        self.sequence = sequence
        self.runner = runner
        self.pieces: list[tuple[SimPiece, bool]] = []
        self.waiting: deque[int] = deque()
        self.outcomes: deque[Outcome] = deque()
        self.whole = False

    def add(self, frame: SimFrame) -> None:
        self.runner.enter(frame)
        piece = self.runner.opened(frame)
        self.waiting += self.runner.called(piece)
        self.pieces.append((piece, frame.header.more))
        self.whole = not frame.header.more

    def frames(self) -> Iterator[SimFrame | None]:
        """What it became, once all its records were called."""
        self.runner.deal(iter(self.outcomes))
        for piece, more in self.pieces:
            yield from self.runner.worked(piece, more)


class Passing:
    """A frame that only keeps its turn."""

    def __init__(self, sequence: int, frame: SimFrame) -> None:
        self.sequence = sequence
        self.frame = frame
        self.waiting: deque[int] = deque()
        self.whole = True

    def frames(self) -> Iterator[SimFrame | None]:
        yield self.frame


class SimGathering(SimWorker):
    """A simulated process with one stage that gathers. fresh: makes a runner of the stage. size: records in a list."""

    def __init__(
        self,
        fresh: Callable[[], SimRunner],
        size: int,
        page: SimStop,
        number: int,
        widths: tuple[int, ...],
        ended: Callable[[SimWorker], None],
        *,
        loud: bool,
    ) -> None:
        self._main = fresh()
        super().__init__(SimStages([self._main]), number, widths, ended, loud=loud)
        self._fresh = fresh
        self._size = size
        self._page = page
        self._open: deque[OpenFrame | Passing] = deque()
        self._calling: list[OpenFrame] = []
        """The frames of which records are in a call."""
        self._at: SimRunner | None = None
        """The runner that decodes or encodes."""

    @property
    def slot(self) -> SimSlot:
        if self._at is not None:
            return self._at.slot
        return IDLE if self._open else self.runner.slot

    @property
    def calls(self) -> tuple[tuple[int, int, int], ...]:
        return tuple((frame.sequence, frame.pieces[0][0].first, frame.pieces[-1][0].last) for frame in self._calling)

    @property
    def opened(self) -> int:
        return len(self._open)

    @property
    def oldest(self) -> int:
        return self._open[0].sequence if self._open else -1

    @property
    def _waiting(self) -> int:
        return sum(len(frame.waiting) for frame in self._open)

    def _live(self) -> Generator[bool, None, None]:
        while True:
            if self._waiting >= self._size:
                yield from self._call()
                continue
            pipe = self.inbound[self._sequence % self._upstream]
            frame = pipe.take()
            if frame is None:
                yield (yield from self._wait(pipe))
            elif frame.header.kind == DATA and not frame.header.marked:
                yield from self._begin(frame)
            elif self._passes(frame.header.kind):
                self._open.append(Passing(self._sequence, self._fed(frame)))
                self._sequence += self._width
            else:
                yield from self._finish()
                if frame.header.kind == END:
                    yield from self._end(pipe, frame)
                    return
                yield from self._in_turn(pipe, frame)

    def _passes(self, kind: int) -> bool:
        """Whether such a frame only keeps its turn."""
        return kind in (SKIP, BARRIER, FLUSH) and not self._main.has_state

    def _wait(self, pipe: SimPipe) -> Generator[bool, None, bool]:
        """Send what is done; read; or call with what is here, if nothing more can come. Returns whether it moved."""
        pumped, sent = self._pump(), (yield from self._send())
        if pumped or sent or pipe.fill():
            return True
        if pipe.writer_gone:
            raise Left
        if self._waiting and 0 <= self._page.all_sent < self._sequence:
            yield from self._call()
            return True
        return False

    def _write(self, pipe: SimPipe, frame: SimFrame) -> Iterator[bool]:
        """Also of a frame that is worked on alone."""
        self._put(pipe, frame)
        return iter([True])

    def _begin(self, frame: SimFrame) -> Generator[bool, None, None]:
        if not self._open or self._open[-1].whole:
            self._open.append(OpenFrame(self._sequence, self._fresh()))
        opened = self._open[-1]
        assert isinstance(opened, OpenFrame)
        self._at = opened.runner
        yield True
        opened.add(frame)
        self._at = None
        self._sequence += 0 if frame.header.more else self._width
        if frame.header.stop:
            yield from self._finish()

    def _fed(self, frame: SimFrame) -> SimFrame:
        (made,) = self._main.feed(frame)
        assert made is not None
        return made

    def _finish(self) -> Generator[bool, None, None]:
        """Call with what is here, until nothing is open."""
        while self._waiting:
            yield from self._call()
        while (yield from self._send()):
            yield True

    def _call(self) -> Generator[bool, None, None]:
        """One call, with `size` records at most."""
        parts: list[tuple[OpenFrame, list[int]]] = []
        left = self._size
        for frame in self._open:
            if isinstance(frame, OpenFrame) and frame.waiting and left:
                values = [frame.waiting.popleft() for _ in range(min(left, len(frame.waiting)))]
                parts.append((frame, values))
                left -= len(values)
        self._calling = [frame for frame, _ in parts]
        yield True  # it may be killed now, in the call
        outcomes = deque(self._main.outcome(value) for _, values in parts for value in values)
        self._deal(parts, outcomes)
        self._calling = []
        yield True

    def _deal(self, parts: list[tuple[OpenFrame, list[int]]], outcomes: deque[Outcome]) -> None:
        for frame, values in parts:
            frame.outcomes += [outcomes.popleft() for _ in values]

    def _may_leave(self, frame: OpenFrame | Passing) -> bool:
        """Whether all of a frame is here, and was called."""
        return frame.whole and not frame.waiting and frame not in self._calling

    def _send(self) -> Generator[bool, None, bool]:
        sent = False
        while self._open and self._may_leave(self._open[0]):
            head, sent = self._open[0], True
            outbound = self.outbound[head.sequence % self._downstream]
            self._at = head.runner if isinstance(head, OpenFrame) else None
            for made in head.frames():
                if made is not None:
                    self._put(outbound, made)
                yield True
            self._at = None
            self._open.popleft()
        return sent
