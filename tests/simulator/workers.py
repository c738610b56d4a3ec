"""A simulated worker process: it reads its pipes in turn, lets its stage runner work, writes in turn, and dies when it
is told to.

It is a generator that runs until it has to wait or another process has its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Protocol

from simulator.behaviour import Died
from simulator.frame_context import SimSlot
from simulator.pipes import SimFrame, SimPipe
from simulator.runners import SimStages

from stagerunner.records import END


class Witness(Protocol):
    """Counts deaths, and checks that no record is quarantined without having killed, and that sinks agree."""

    def died(self, worker: SimWorker) -> None: ...
    def committed(self, ahead: Mapping[int, int]) -> None: ...
    def quarantined(self, split: int, stage: int, origin: int, ordinal: int) -> None: ...


class Left(Exception):
    """A neighbour left without END."""


class SimWorker:
    """One simulated process."""

    def __init__(
        self,
        runner: SimStages,
        number: int,
        widths: tuple[int, ...],
        ended: Callable[[SimWorker], None],
        *,
        loud: bool = True,
    ) -> None:
        """loud: it dies by a signal that nobody sends from outside."""
        self.runner = runner
        self._loud = loud
        self.number = number
        self._upstream, self._width, self._downstream = widths
        self._sequence = number
        self.inbound: dict[int, SimPipe] = {}
        self.outbound: dict[int, SimPipe] = {}
        self.state = "alive"
        self._ended = ended
        self._life: Generator[bool, None, None] = self._live()

    how = "SIGKILL"
    """How it ends when it dies."""

    @property
    def slot(self) -> SimSlot:
        return self.runner.slot

    @property
    def opened(self) -> int:
        """Frames begun beside the one in hand, and not sent on."""
        return 0

    @property
    def following(self) -> int:
        """The sequence of the next frame that it takes in."""
        return self._sequence

    @property
    def oldest(self) -> int:
        """The first of them; -1 if there is none."""
        return -1

    @property
    def calls(self) -> tuple[tuple[int, int, int], ...]:
        """If several calls may be running, all of them: (sequence, first, last)."""
        return ()

    def move(self) -> bool:
        """Whether it could do anything."""
        if self.state != "alive":
            return False
        try:
            return next(self._life)
        except (Died, StopIteration, Left) as end:
            self.how = "SIGABRT" if isinstance(end, Died) and self._loud else self.how
            self.end({Died: "dead", Left: "left", StopIteration: "done"}[type(end)])
            return True

    def end(self, state: str) -> None:
        self.state = state
        self._life.close()
        for pipe in self.inbound.values():
            pipe.reader_gone = True
        for pipe in self.outbound.values():
            pipe.writer_gone = True
        self._ended(self)

    def _live(self) -> Generator[bool, None, None]:
        while True:
            pipe = self.inbound[self._sequence % self._upstream]
            frame = yield from self._received(pipe)
            if frame.header.kind == END:
                yield from self._end(pipe, frame)
                return
            yield from self._in_turn(pipe, frame)

    def _in_turn(self, pipe: SimPipe, frame: SimFrame) -> Generator[bool, None, None]:
        """Work on one frame with all its pieces."""
        outbound = self.outbound[self._sequence % self._downstream]
        while True:
            for made in self.runner.feed(frame):
                if made is not None:
                    yield from self._write(outbound, made)
                yield True
            if not frame.header.more:
                break
            frame = yield from self._received(pipe)
        self.runner.rest()
        self._sequence += self._width

    def _received(self, pipe: SimPipe) -> Generator[bool, None, SimFrame]:
        """The next frame of a pipe, as the value of the generator."""
        while (frame := pipe.take()) is None:
            if pipe.fill():
                yield True
            elif pipe.writer_gone:
                self.at_eof(pipe)
            else:
                yield False
        return frame

    def at_eof(self, pipe: SimPipe) -> None:
        raise Left

    def _write(self, pipe: SimPipe, frame: SimFrame) -> Iterator[bool]:
        slot = self.runner.slot
        slot.holding, held = False, slot.holding
        pipe.put(frame)
        while not pipe.flushed:
            if pipe.reader_gone:
                raise Left
            yield pipe.pump()
        slot.holding = held

    def _put(self, pipe: SimPipe, frame: SimFrame) -> None:
        """Write without waiting: `_pump` writes what the pipe doesn't take now."""
        if pipe.reader_gone:
            raise Left
        pipe.put(frame)
        pipe.pump()

    def _pump(self) -> bool:
        """Write what waits for the pipes. Returns whether they took anything."""
        if any(pipe.reader_gone and not pipe.flushed for pipe in self.outbound.values()):
            raise Left
        return sum([pipe.pump() for pipe in self.outbound.values()]) > 0

    def _end(self, came: SimPipe, frame: SimFrame) -> Iterator[bool]:
        """Wait for END from every pipe, then send END on every pipe."""
        yield from self._drain()
        for pipe in self.inbound.values():
            if pipe is not came:
                yield from self._received(pipe)
        for pipe in self.outbound.values():
            yield from self._write(pipe, frame)
        yield from self._drain()

    def _drain(self) -> Iterator[bool]:
        """Write all that waits for the pipes, to whichever takes it first."""
        while not all(pipe.flushed for pipe in self.outbound.values()):
            yield self._pump()
