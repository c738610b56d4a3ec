"""A simulated worker of an async stage: several frames are under way at once, and their results leave in sequence.

Of each frame one call runs at a time. A marked frame is worked on alone, and so is a frame that isn't DATA.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator

from simulator.behaviour import Behaviour, Died
from simulator.frame_context import SimSlot
from simulator.pipes import SimFrame, SimPipe
from simulator.runners import SimRunner, SimStages
from simulator.scenario import Dice
from simulator.workers import Left, SimWorker

from stagerunner.records import DATA, END

IDLE = SimSlot()
"""The slot of a worker between two frames."""


class Flight:
    """One frame under way, with all its pieces. made: what it has become so far. whole: its last piece is here."""

    def __init__(self, sequence: int, runner: SimRunner) -> None:
        self.sequence = sequence
        self.runner = runner
        self.whole = False
        self.made: deque[SimFrame] = deque()
        self._pieces: deque[SimFrame] = deque()
        self._work: Iterator[SimFrame | None] | None = None

    def add(self, piece: SimFrame) -> None:
        self._pieces.append(piece)
        self.whole = not piece.header.more

    @property
    def busy(self) -> bool:
        return self._work is not None or bool(self._pieces)

    @property
    def calling(self) -> bool:
        return self.runner.slot.origin >= 0

    def step(self) -> bool:
        """Go on to the next point at which the worker could be killed. Returns whether it has made a frame."""
        if self._work is None:
            self._work = self.runner.feed(self._pieces.popleft())
        made = next(self._work, self)
        if made is self:
            self._work = None
        elif made is not None:
            self.made.append(made)
        return made is not None


class SimOverlapping(SimWorker):
    """A simulated process with one async stage. fresh: makes a runner of the stage. most: calls at once."""

    def __init__(
        self,
        fresh: Callable[[], SimRunner],
        stage: Behaviour,
        most: int,
        dice: Dice,
        number: int,
        widths: tuple[int, ...],
        ended: Callable[[SimWorker], None],
        *,
        loud: bool,
    ) -> None:
        super().__init__(SimStages([fresh()]), number, widths, ended, loud=loud)
        self._fresh = fresh
        self._stage = stage
        self._most = most
        self._dice = dice
        self._flights: deque[Flight] = deque()
        self._stepped: Flight | None = None

    @property
    def slot(self) -> SimSlot:
        """The slot of the frame that is decoded or encoded; else the worker may have died of any call."""
        if not self._flights:
            return self.runner.slot
        return IDLE if self._stepped is None or self._stepped.calling else self._stepped.runner.slot

    @property
    def opened(self) -> int:
        return len(self._flights)

    @property
    def oldest(self) -> int:
        return self._flights[0].sequence if self._flights else -1

    @property
    def calls(self) -> tuple[tuple[int, int, int], ...]:
        if self.slot is not IDLE:
            return ()
        running = ((flight.sequence, flight.runner.slot.origin) for flight in self._flights if flight.calling)
        return tuple((sequence, origin, origin + 1) for sequence, origin in running)

    def _live(self) -> Generator[bool, None, None]:
        while True:
            pipe = self.inbound[self._sequence % self._upstream]
            hungry = sum(flight.busy for flight in self._flights) < self._most
            frame = pipe.take() if hungry else None
            if frame is None:
                filled = hungry and pipe.fill()
                if hungry and not filled and pipe.writer_gone:
                    raise Left
                yield (yield from self._step()) or filled
            elif frame.header.kind == DATA and not self.alone(frame):
                self._begin(frame)
                yield True
            else:
                while self._flights:
                    yield (yield from self._step())
                if frame.header.kind == END:
                    yield from self._end(pipe, frame)
                    return
                yield from self._in_turn(pipe, frame)

    def alone(self, frame: SimFrame) -> bool:
        return frame.header.marked

    def _begin(self, frame: SimFrame) -> None:
        if not self._flights or self._flights[-1].whole:
            self._flights.append(Flight(self._sequence, self._fresh()))
        self._flights[-1].add(frame)
        self._sequence += 0 if frame.header.more else self._width

    def _write(self, pipe: SimPipe, frame: SimFrame) -> Iterator[bool]:
        self._put(pipe, frame)
        return iter([True])

    def _step(self) -> Generator[bool, None, bool]:
        """Let one frame go on, and send what is next in sequence. Returns whether anything moved."""
        busy = [flight for flight in self._flights if flight.busy]
        if busy:
            self._stepped = flight = self._dice.one_of(busy)
            if flight.step():
                self._stepped = None
            calls = sum(flight.calling for flight in self._flights)
            if self._stage.kind == "crowd" and calls > self._stage.count:
                raise Died
        pumped, sent = self._pump(), (yield from self._send())
        return pumped or sent or bool(busy)

    def _send(self) -> Generator[bool, None, bool]:
        sent = False
        while self._flights and (self._flights[0].made or not (self._flights[0].busy or not self._flights[0].whole)):
            head, sent = self._flights[0], True
            if head.made:
                self._stepped = None
                yield from self._write(self.outbound[head.sequence % self._downstream], head.made.popleft())
            else:
                self._flights.popleft()
        return sent
