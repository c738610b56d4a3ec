"""A worker: reads frames in sequence, runs its stages on them, and writes the results in sequence.

    setup ──▶ READY on every outbound pipe ──▶ frames, each read and written in its turn ──▶ END ──▶ close, exit 0

Frame s goes to worker s mod N of every group, so a worker knows which pipe brings its next frame. It waits for nothing
but that pipe and the pipe it writes to. It exits with 0 only after END. A pipe that ends without END means that a
neighbour has died; the worker then exits with GONE.
"""

from __future__ import annotations

import os
import pickle
import select
import sys
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic_ns as now
from time import process_time_ns
from typing import TYPE_CHECKING

from stagerunner.engines.process.beginning import DISCONNECTED, UNREADABLE
from stagerunner.engines.process.worker.tuning import forward_logging, take_name, tune_memory
from stagerunner.engines.worker.decode import Unreadable
from stagerunner.engines.worker.encode import Parts
from stagerunner.engines.worker.hooks import call_hooks
from stagerunner.engines.worker.in_flight import WorkAhead
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.evaluate import stage_api
from stagerunner.evaluate.wording import describe
from stagerunner.records import DATA, END, READY
from stagerunner.wire.arena import Arena
from stagerunner.wire.frame import MARKED, MORE, SIZE, BadFrame, Frame, Header, pack_header
from stagerunner.wire.metrics import BLOCKED, CLOSED, CPU, LEFT, WAITING, MetricsPage, Slot
from stagerunner.wire.pipe import ControlMessage, Inbound, Outbound, send, send_pieces, write_records
from stagerunner.wire.spec import WorkerSpec

if TYPE_CHECKING:
    from typing import NoReturn

GONE = 70
"""Exit status of a worker whose neighbour left without END. One more: it sent a bad frame."""

CPU_EVERY = 50_000_000
"""Nanoseconds between two looks at the CPU time, which are system calls."""

ReadyLine = tuple[int, int, int, str]
"""(index of the group's first stage, or of the stage whose setup failed; worker; pid; error text or "")."""


class Left(Exception):
    """A neighbour left without END."""


class Worker:
    """The loop of one worker over its pipes."""

    def __init__(
        self, spec: WorkerSpec, inbound: list[int], outbound: list[int], page: MetricsPage, arena: Arena | None = None
    ) -> None:
        self._spec = spec
        self._page = page
        self._runner = StageRunner(spec, page, arena)
        self._slots = self._runner.slots
        self.ready = self.closing = False
        self._ends = {fd: _known(fd) for fd in (*inbound, *outbound)}
        if arena is not None:
            stage_api.allocate = self._runner.codec.empty
        self._in = {
            number: Inbound(fd, spec.limit, passing=True) for number, fd in zip(spec.inbound, inbound, strict=True)
        }
        self._out = dict(zip(spec.outbound, outbound, strict=True))
        self._queues: dict[int, Outbound] = {}
        """While working ahead: what the outbound pipes have not taken yet."""
        self._sequence = spec.number
        self._cpu = self._cpu_noted = 0

    @property
    def slots(self) -> list[Slot]:
        return self._slots

    @property
    def connected(self) -> bool:
        """Whether our descriptors are still the pipes that we were given."""
        return all(_known(fd) == known for fd, known in self._ends.items())

    def _check_connected(self) -> None:
        """Called before a suspect and after it: else a neighbour would be blamed, or the record before. Raises Left."""
        if not self.connected:
            raise Left("the stage has closed the pipe")

    def run(self) -> None:
        """Live from setup to END. Raises Left or BadFrame when a pipe doesn't end as it should."""
        error = self._setup()
        self._ready(error)
        self.ready = True
        self._cpu = process_time_ns()
        if error:
            self._stand_by()
        end = self._work_ahead() if self._spec.works_ahead else self._work_in_turn()
        self._end(end)
        if not self.connected:
            raise Left("what was sent went elsewhere")
        self.closing = True
        self.note_cpu(now())
        leave(self._page, self._spec)  # all records are through: a death from here on is not the chain's
        self._runner.close()
        call_hooks(self._spec.stopping_hooks, self._spec)

    def _setup(self) -> str:
        """Set up the stages. Returns the error as text, or ""."""
        try:
            call_hooks(self._spec.started_hooks, self._spec)
            self._runner.setup()
            forward_logging()
            tune_memory()
        except BaseException as error:
            return describe(error)
        return ""

    def _ready(self, error: str) -> None:
        """Collect READY from every inbound pipe, add our own line, send it on every outbound pipe."""
        first = self._spec.works[0].index if self._spec.works else 0
        if error and self._spec.works:
            first = self._spec.works[min(len(self._runner.evaluators), len(self._spec.works) - 1)].index
        lines: dict[tuple[int, int], ReadyLine] = {}
        for pipe in self._in.values():
            for line in read_lines(pipe):
                lines[line[0], line[1]] = line
        lines[first, self._spec.number] = (first, self._spec.number, os.getpid(), error)
        data = pickle.dumps(list(lines.values()), 5)
        for fd in self._out.values():
            send_pieces(fd, Header(READY, 0, self._spec.epoch, 0), data)

    def _stand_by(self) -> NoReturn:
        """Wait until the parent, which READY has told of the error, ends the chain; drop frames that are here
        already."""
        for pipe in self._in.values():
            while pipe.read() is not None:
                pass
        raise Left("never set up")

    def _work_in_turn(self) -> Frame:
        """Frame by frame, until END, which is returned."""
        slot, spec = self._slots[0], self._spec
        while True:
            began, sequence = now(), self._sequence
            pipe = self._in[sequence % spec.upstream]
            frame = pipe.only() or pipe.read()
            slot.wait += now() - began
            if frame is None or frame.header.sequence != sequence or frame.header.epoch != spec.epoch:
                frame = self._checked(frame)
            if frame.header.kind == END:
                return frame
            if frame.header.flags & MARKED:
                self._check_connected()
            self._send(self._runner.feed(frame))
            while frame.header.flags & MORE:
                frame = self._read(pipe)
                self._send(self._runner.feed(frame))
            self._sequence += spec.width

    def _send(self, sent: Iterable[Parts]) -> None:
        """Write the results of one frame where its sequence says; then mark the slots as waiting."""
        fd = self._out[self._sequence % self._spec.downstream]
        for header, metadata, body in sent:
            self._write(fd, header, metadata, body)
        waiting = now()
        for slot in self._slots:
            slot.rest(WAITING, waiting)
        if waiting - self._cpu_noted > CPU_EVERY:
            self.note_cpu(waiting)

    def note_cpu(self, at: int) -> None:
        """Store on the page what CPU time was used since the last time."""
        used = process_time_ns()
        self._slots[0].words[CPU] += used - self._cpu
        self._cpu, self._cpu_noted = used, at

    def _work_ahead(self) -> Frame:
        """The same for a stage that is async or gathers: take frames in while it has use for records, and send them on
        in sequence. A marked frame is worked on alone.

        It never waits for a pipe that it writes to: what it doesn't read meanwhile would hold up the worker before it,
        and with that the records that a list elsewhere waits for.
        """
        self._queues = {fd: Outbound(fd) for fd in self._out.values()}
        for fd in self._queues:
            os.set_blocking(fd, False)
        ahead = WorkAhead(self._runner, self._page, self._spec, self._queued)
        while True:
            ahead.took_in(self._sequence)
            frame = self._pipe.take() if ahead.room() else None
            if frame is None:
                self._wait(ahead)
                continue
            header = frame.header
            if not (header.piece and header.kind == DATA):
                self._checked(frame)
            if header.kind == DATA and not header.marked:
                ahead.begin(frame)
                self._sequence += 0 if header.more else self._spec.width
            elif ahead.passes(header.kind):
                ahead.pass_on(frame)
                self._sequence += self._spec.width
            else:
                while ahead.under_way:
                    ahead.hasten()
                    self._send_landed(ahead, None)
                if header.kind == END:
                    return frame
                self._work(frame)

    def _drain(self) -> None:
        """Write everything that waits for the pipes, to whichever takes it first."""
        poller = select.poll()
        for fd in self._queues:
            poller.register(fd, select.POLLOUT)
        while self._queued():
            for fd, _ in poller.poll():
                self._queues[fd].pump()
                if not self._queues[fd].queued:
                    poller.unregister(fd)

    def _queued(self) -> int:
        """Bytes that the pipes have not taken yet."""
        return sum(queue.queued for queue in self._queues.values())

    def _wait(self, ahead: WorkAhead) -> None:
        """Wait until a frame is done, or, with use for records, until there is something to read."""
        pipe, hungry = self._pipe, ahead.room()
        self._send_landed(ahead, pipe.fd if hungry else None)
        if hungry:  # no whole frame is here, else it would have been taken
            os.set_blocking(pipe.fd, False)
            try:
                if not pipe.fill():
                    raise Left("a neighbour left without END")
            except BlockingIOError:
                pass
            finally:
                os.set_blocking(pipe.fd, True)

    def _send_landed(self, ahead: WorkAhead, inbound: int | None) -> None:
        outbound = [fd for fd, queue in self._queues.items() if queue.queued]
        for header, metadata, body in ahead.landed(inbound, self._sequence, outbound):
            self._write(self._out[header.sequence % self._spec.downstream], header, metadata, body)
        for fd in outbound:
            self._queues[fd].pump()
        if (at := now()) - self._cpu_noted > CPU_EVERY:
            self.note_cpu(at)

    @property
    def _pipe(self) -> Inbound:
        """The pipe that brings the next frame."""
        return self._in[self._sequence % self._spec.upstream]

    def _checked(self, frame: Frame | None) -> Frame:
        """Check that this is the next frame in sequence, or END in its place. Raises Left and BadFrame."""
        if frame is None:
            raise Left("a neighbour left without END")
        header = frame.header
        if header.kind != END and header.sequence != self._sequence:
            raise BadFrame(f"frame {header.sequence} where {self._sequence} was due")
        if header.epoch != self._spec.epoch:
            raise BadFrame(f"a frame of epoch {header.epoch} in epoch {self._spec.epoch}")
        return frame

    def _read(self, pipe: Inbound) -> Frame:
        started = now()
        frame = pipe.read()
        self._slots[0].wait += now() - started
        if frame is None:
            raise Left("a neighbour left without END")
        return frame

    def _work(self, frame: Frame) -> None:
        """Work on one frame with all its pieces, and send the results where its sequence says."""
        pipe = self._pipe
        if frame.header.flags & MARKED:
            self._check_connected()
        self._send(self._runner.feed(frame))
        while frame.header.more:
            frame = self._read(pipe)
            self._send(self._runner.feed(frame))
        self._sequence += self._spec.width

    def _write(self, fd: int, header: Header, metadata: bytes, body: bytes) -> None:
        if header.flags & MARKED:
            self._check_connected()
        if self._queues:
            self._queues[fd].put(header, metadata, body if type(body) is bytes else bytes(body))
            return
        started = now()
        for slot in self._slots:
            slot.say(BLOCKED, started)
        length = len(metadata) + len(body)
        write_records(fd, [pack_header(header, length), metadata, body], SIZE + length)
        slot.block += now() - started

    def _end(self, frame: Frame) -> None:
        """END came on one pipe: check that no frame is missing and that every other pipe says END, then pass it on."""
        self._drain()
        if frame.header.sequence != 0 and self._sequence <= frame.header.sequence - 1:
            raise BadFrame(f"END after frame {frame.header.sequence - 1}, but {self._sequence} never came")
        came = self._pipe
        for pipe in self._in.values():
            if pipe is not came and self._read(pipe).header.kind != END:
                raise BadFrame("a frame after the last one")
        header = Header(END, 0, self._spec.epoch, frame.header.sequence)
        for fd in self._out.values():
            if fd in self._queues:
                self._queues[fd].put(header)
            else:
                send(fd, header)
        self._drain()


def read_lines(pipe: Inbound) -> list[ReadyLine]:
    """The READY of one pipe. Raises Left when the pipe ends first."""
    message = ControlMessage(READY)
    while not message.whole:
        frame = pipe.read()
        if frame is None:
            raise Left("a neighbour left before it was ready")
        message.add(frame)
    return pickle.loads(message.data) if message.data else []


def main(spec: WorkerSpec, inbound: list[int], outbound: list[int], metrics: int, arena: int | None) -> int:
    """Run a worker in the process that the fork server forked for it. Returns the exit status."""
    take_name(spec.names, spec.number)
    page = MetricsPage(metrics, spec.slot_count, spec.places)
    if not any(work.rate for work in spec.works):  # a rate is kept by a lock on this descriptor
        os.close(metrics)
    worker = Worker(spec, inbound, outbound, page, None if arena is None else Arena(arena, spec.owners))
    try:
        worker.run()
    except Unreadable as error:
        os.write(2, f"what came can't be unpickled here: {error}\n".encode(errors="backslashreplace"))
        return UNREADABLE
    except (Left, BadFrame, OSError) as error:
        return _ended_by(error, worker, page, spec)
    finally:
        with suppress(BaseException):  # a stage may have closed or replaced it
            sys.stdout.flush()
    return 0


def _ended_by(error: Exception, worker: Worker, page: MetricsPage, spec: WorkerSpec) -> int:
    """Exit status of a worker that can't go on."""
    if not (worker.closing or worker.connected):
        if worker.ready:
            worker.slots[0].state(CLOSED)
        return DISCONNECTED
    if isinstance(error, Left | BrokenPipeError):
        leave(page, spec)
        return GONE
    if isinstance(error, OSError):
        raise error
    os.write(2, f"protocol fault: {error}\n".encode())
    return GONE + 1


def _known(fd: int) -> tuple[int, int] | None:
    """Inode and device behind a descriptor; None if it is closed."""
    try:
        return os.fstat(fd)[1:3]
    except OSError:
        return None


def leave(page: MetricsPage, spec: WorkerSpec) -> None:
    """Mark our slots: this worker leaves in good order, or because a neighbour left, so it is not the root cause."""
    for number in spec.slots:
        page.slot(number).store()
        page.slot(number).words[LEFT] = 1
