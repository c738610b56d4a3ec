"""The return pipes: frames come back on N pipes, and are given in the order of their sequence.

    pipes ──▶ held, whole or in part: the window's bytes ──▶ given in turn

What is not read stays in the pipes, and workers block. The pipe whose turn it is is always read until a frame of it is
here: so the lowest unfinished frame always moves. It is given once the result writer has room.
"""

from __future__ import annotations

import pickle
import selectors
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from stagerunner.records import END, READY
from stagerunner.window.core import CHARGE
from stagerunner.wire.frame import MORE, BadFrame, Frame
from stagerunner.wire.pipe import ControlMessage, Inbound

if TYPE_CHECKING:
    from stagerunner.engines.process.worker.main import ReadyLine

READS = 8
"""Reads of one pipe in a row at most, while a frame is not here whole."""


class Holding:
    """Bytes of frames that are here and not received. limit: bytes. charge: for each frame beside its payload; the
    simulator's windows are so small that it charges less."""

    def __init__(self, limit: int, charge: int = CHARGE) -> None:
        self.bytes = 0
        self._limit = limit
        self.charge = charge

    @property
    def full(self) -> bool:
        return self.bytes >= self._limit

    def begun(self, size: int) -> None:
        """So many bytes were allocated for a frame that is not here whole; less than 0: released."""
        self.bytes += size

    def came(self, size: int) -> None:
        self.bytes += size + self.charge

    def taken(self, size: int) -> None:
        self.bytes -= size + self.charge

    def reads(self, *, due: bool, here: bool) -> bool:
        """Whether to read a pipe. due: it is its turn. here: a frame of it is here already."""
        return not self.full or (due and not here)


class Returns:
    """Reads the return pipes.

    limit: bytes of frames to hold; beyond, only the pipe whose turn it is is read, until a frame of it is here.
    charge: see `Holding`.
    """

    def __init__(
        self, pipes: list[Inbound], selector: selectors.BaseSelector, limit: int, charge: int = CHARGE
    ) -> None:
        self._pipes = pipes
        self._selector = selector
        self.holding = Holding(limit, charge)
        self._here: list[deque[Frame]] = [deque() for _ in pipes]
        self._sequence = self._turn = 0
        self._fault: BadFrame | None = None
        self._ready = False
        """READY has come on every pipe; turns begin then."""
        self._registered: set[int] = set()
        self.ended = False
        """END has come on every pipe, with nothing missing."""
        self.broken = False
        """A pipe ended without END, and its turn has come."""
        self._watch()

    def turn_is_here(self) -> bool:
        return self._ready and bool(self._here[self._turn]) and not self.ended

    def frames(self, epoch: int) -> Iterator[Frame]:
        """The frames whose turn has come. Raises BadFrame."""
        if not self._pipes:
            return
        while not self.ended and (here := self._here[self._turn]):
            frame = here[0]
            header = frame.header
            if header.kind == END:
                self._end(header.sequence)
                return
            if header.sequence != self._sequence or header.epoch != epoch:
                raise BadFrame(f"frame {header.sequence} of epoch {header.epoch} where {self._sequence} was due")
            here.popleft()
            self.holding.bytes -= header.length + self.holding.charge
            if not header.flags & MORE:
                self._sequence += 1
                self._turn = self._sequence % len(self._pipes)
            if len(self._registered) < len(self._pipes):
                self._watch()  # there may be room again, or another pipe's turn
            yield frame
        if self._fault is not None:
            raise self._fault
        self.broken = self._pipes[self._turn].ended

    @property
    def _ending(self) -> bool:
        """The pipe whose turn it is has sent END. All pipes are read now, because END counts once all have sent it."""
        here = self._here[self._turn]
        return bool(here) and here[0].header.kind == END

    def _end(self, frames: int) -> None:
        if frames != self._sequence:
            raise BadFrame(f"END after {frames} frames, but {self._sequence} came")
        heads = [here[0].header.kind if here else None for here in self._here]
        if all(kind == END for kind in heads):
            self.ended = True
        elif self._any_cut_off():
            self.broken = True
        else:
            self._watch()

    def ready_lines(self) -> list[ReadyLine] | None:
        """The lines of READY, once it is here from every pipe; else None. Raises BadFrame."""
        if self._fault is not None:
            raise self._fault
        if not all(self._said(number) for number in range(len(self._pipes))):
            self.broken = self._any_cut_off()
            return None
        lines: dict[tuple[int, int], ReadyLine] = {}
        for here in self._here:
            for line in pickle.loads(self._ready_data(here)):
                lines[line[0], line[1]] = line
        self.begin_turns()
        return sorted(lines.values())

    def _any_cut_off(self) -> bool:
        """Whether a pipe has ended without END. A fast worker may have ended well before another has sent READY."""
        ended = (here for pipe, here in zip(self._pipes, self._here, strict=True) if pipe.ended)
        return any(not here or here[-1].header.kind != END for here in ended)

    def begin_turns(self) -> None:
        """READY has come on every pipe: frames come in turn from now on."""
        self._ready = True
        self._watch()

    def _said(self, number: int) -> bool:
        """Whether all pieces of READY are here from this pipe."""
        return any(not frame.header.more for frame in self._here[number])

    def _ready_data(self, here: deque[Frame]) -> bytearray:
        """Take READY off the front. After a restart, frames may be waiting behind it already."""
        message = ControlMessage(READY)
        while not message.whole:
            frame = here.popleft()
            message.add(frame)
            self.holding.taken(frame.header.length)
        return message.data

    def _watch(self) -> None:
        """Watch the pipe whose turn it is, and the others while there is room for their frames.

        Before READY, watch the pipes that have not sent it: on the others frames may follow it already.
        """
        for number, pipe in enumerate(self._pipes):
            if self._ready:
                due, here = number == self._turn or self._ending, bool(self._here[number])
            else:
                due, here = not self._said(number), False
            wanted = not pipe.ended and self.holding.reads(due=due, here=here)
            if wanted and pipe.fd not in self._registered:
                self._selector.register(pipe.fd, selectors.EVENT_READ, partial(self._read, number))
                self._registered.add(pipe.fd)
            elif not wanted and pipe.fd in self._registered:
                self._unwatch(pipe.fd)

    def _unwatch(self, fd: int) -> None:
        self._registered.discard(fd)
        with suppress(KeyError, ValueError):
            self._selector.unregister(fd)

    def _read(self, number: int) -> None:
        pipe = self._pipes[number]
        if pipe.fd not in self._registered:
            return  # another pipe has just filled the room
        try:
            if (frame := pipe.only()) is not None:
                self._here[number].append(frame)
                self.holding.came(frame.header.length)
            else:
                self._read_on(number, pipe)
        except BlockingIOError:
            pass
        except ConnectionError:
            pipe.ended = True
        except BadFrame as fault:
            self._fault = fault
            pipe.ended = True
        if pipe.ended or self.holding.full:
            self._watch()

    def _read_on(self, number: int, pipe: Inbound) -> None:
        """Take the frames that are here; read on while one is not here whole."""
        reads, before = READS, pipe.reserved
        try:
            while not self._take(number, pipe) and reads and not pipe.ended:
                pipe.fill()
                reads -= 1
        finally:
            self.holding.begun(pipe.reserved - before)
        if pipe.ended:
            pipe.check_empty()

    def _take(self, number: int, pipe: Inbound) -> bool:
        """Take the frames that are here whole; whether nothing else is here."""
        while (frame := pipe.take()) is not None:
            self._here[number].append(frame)
            self.holding.came(frame.header.length)
            if pipe.spent:
                return True
        return False

    def close(self) -> None:
        for fd in list(self._registered):
            self._unwatch(fd)
