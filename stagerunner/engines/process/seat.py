"""One worker in a process of its own, for an engine that lives elsewhere: in an actor on another machine, say.

    actor ── Seat.feed(bundle) ──▶ pipe ──▶ worker process (forked by the seat's fork server) ──▶ pipe ──▶ bundle

The worker is the same as that of the process engine, with the same deadlines and memory limits. A kill has its signal
and its record, as there. The worker's group ends with the seat, and the actor itself runs no user code.
"""

from __future__ import annotations

import os
import pickle
import selectors
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Lock
from time import monotonic

from stagerunner.engines.base import Trouble
from stagerunner.engines.pool.base import SlotWords
from stagerunner.engines.process.parent.fork_server import Ended, ForkServerClient
from stagerunner.engines.process.parent.health import Health
from stagerunner.engines.process.parent.printed import Printed
from stagerunner.engines.process.parent.root_cause import root_cause
from stagerunner.records import END, READY
from stagerunner.tuples import NamedTuple
from stagerunner.wire.frame import BadFrame, Frame, Header, bundle, frames_of
from stagerunner.wire.messages import close_all
from stagerunner.wire.metrics import MetricsPage, create
from stagerunner.wire.pipe import ControlMessage, Inbound, Outbound, widen
from stagerunner.wire.spec import SealedSpec, WorkerSpec

TURN = 0.05
"""Seconds between two looks at deadlines."""

PATIENCE = 0.5
"""Seconds to wait, after a pipe broke, for the fork server to report how the worker died."""

REAPING = 1.0
"""Seconds to wait for a killed worker to end."""

ONLY = 1
"""The identity of the only worker."""


class SeatSpec(NamedTuple):
    """What a seat has to know of its worker, as plain data: the spec that the worker gets, sealed, and what may be read
    of it where its plugins can't be imported. page: where the parent's metrics page can be opened, or ""."""

    seen: WorkerSpec
    sealed: SealedSpec
    page: str = ""

    @classmethod
    def of(cls, spec: WorkerSpec, page: str = "") -> SeatSpec:
        alone = spec._replace(inbound=(0,), outbound=(0,), upstream=1, downstream=1, owners=0)
        works = tuple(work._replace(options={}) for work in spec.works)
        seen = alone._replace(works=works, source=None, sinks=(), snapshots={})
        return cls(seen, SealedSpec.of(alone), page)


class Report(NamedTuple):
    """What a seat says besides its results; see engines.pool.base.Done."""

    pid: int = 0
    error: str = ""
    trouble: Trouble | None = None
    words: tuple[SlotWords, ...] = ()
    printed: bytes = b""
    nothing: bool = False


class Lost(Exception):
    """The worker is lost."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.how)
        self.trouble = trouble


class Seat:
    """Holds one worker at a time. Its calls wait until the worker is done.

    hash_seed: the PYTHONHASHSEED of the worker.
    """

    def __init__(self, hash_seed: str | None = None) -> None:
        self._hash_seed = hash_seed
        self._fork_server: ForkServerClient | None = None
        self._selector = selectors.DefaultSelector()
        self._said = bytearray()
        self._printed = Printed(self._selector, lambda stage, worker, data: self._said.extend(data))
        self._pipes: list[Connection] = []
        self._deaths: list[Ended] = []
        self._spec: WorkerSpec | None = None
        self._page: MetricsPage | None = None
        self._metrics = -1
        self._shared = False
        self._writing = Lock()

    # A worker's life

    def begin(self, told: SeatSpec) -> Report:
        """End the last worker, start this one, and wait until it is set up."""
        self._drop()
        self._spec = told.seen
        self._open_page(told)
        self._start(told)
        self._out.put(Header(READY, 0, told.seen.epoch, 0))
        message = ControlMessage(READY)
        try:
            while not message.whole:
                message.add(self._next())
        except Lost as lost:
            return self._report(trouble=lost.trouble)
        (line,) = pickle.loads(message.data)
        return self._report(pid=line[2], error=line[3])

    def feed(self, data: bytes, abandoned: Callable[[], bool] = lambda: False) -> tuple[Report, bytes | None]:
        """What becomes of a frame, given as a bundle of all its pieces. abandoned: as for `take`."""
        self.put(data)
        return self.take(abandoned)

    def put(self, data: bytes) -> None:
        """Give the worker a frame; `take` says what becomes of it. Another thread than that of `take` may call it."""
        with suppress(OSError), self._writing:  # a pipe that broke is noticed by `take`
            for frame in frames_of(data):
                self._out.put(frame.header, frame.payload)

    def take(self, abandoned: Callable[[], bool] = lambda: False) -> tuple[Report, bytes | None]:
        """What becomes of the oldest frame that was put. abandoned: asked now and then whether anybody still wants it;
        if nobody does, the worker is killed."""
        found: list[Frame] = []
        try:
            while not found or found[-1].header.more:
                found.append(self._next(abandoned))
        except (Lost, OSError) as error:
            lost = error if isinstance(error, Lost) else self._lost(f"a pipe broke: {error}")
            return self._report(trouble=lost.trouble), None
        return self._report(), bundle((frame.header, frame.payload, b"") for frame in found)

    def end(self, data: bytes) -> Report:
        """Give the worker END, and wait until it has closed."""
        try:
            for frame in frames_of(data):
                self._out.put(frame.header, frame.payload)
            while self._next().header.kind != END:
                pass
            while not self._deaths:
                self._turn()
        except (Lost, BrokenPipeError, BadFrame):
            pass
        failed = [death.how for death in self._deaths if death.status > 0]
        return self._report(error=failed[0] if failed else "")

    def close(self) -> None:
        """Kill and release everything."""
        self._drop()
        if self._fork_server is not None:
            self._selector.unregister(self._fork_server)
            self._fork_server.close()
            self._fork_server = None
        self._close_page()
        self._selector.close()

    def _drop(self) -> None:
        """Kill the last worker, and take what it still said."""
        if self._fork_server is not None:
            self._fork_server.end_workers(REAPING)
            if not self._fork_server.answered_all:
                self._selector.unregister(self._fork_server)
                self._fork_server.close()
                self._fork_server = None
        for fd in self._watched():
            self._selector.unregister(fd)
        self._printed.close()
        close_all(self._pipes)
        self._pipes, self._deaths = [], []

    def _watched(self) -> list[int]:
        return [self._back.fd] if self._pipes and self._back.fd in self._selector.get_map() else []

    def _start(self, told: SeatSpec) -> None:
        """Make the pipes, and have the worker forked with its ends."""
        if self._fork_server is None:
            self._fork_server = ForkServerClient(self._hash_seed)
            self._selector.register(self._fork_server, selectors.EVENT_READ)
        theirs_in, ours_out = Pipe(duplex=False)
        ours_back, theirs_out = Pipe(duplex=True)
        hearing, end = os.pipe()
        printing = Connection(end, readable=False)
        widen(ours_out.fileno())
        self._printed.watch(hearing, "", 0)
        self._pipes = [ours_out, ours_back]
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._out, self._back = Outbound(ours_out.fileno()), Inbound(ours_back.fileno(), told.seen.limit)
        self._selector.register(self._back.fd, selectors.EVENT_READ)
        others = [self._metrics, printing.fileno()]
        owned = [theirs_in, theirs_out, printing]
        self._fork_server.fork(ONLY, told.sealed, [theirs_in.fileno()], [theirs_out.fileno()], others, owned)

    # The metrics page

    def _open_page(self, told: SeatSpec) -> None:
        """The parent's page, where it can be reached; else one of our own, on which clocks go on."""
        spec = told.seen
        if self._page is None:
            with suppress(OSError):
                self._metrics = os.open(told.page, os.O_RDWR | os.O_CLOEXEC) if told.page else -1
            self._shared = self._metrics >= 0
            if not self._shared:
                self._metrics = create(spec.slot_count, spec.places)
            self._page = MetricsPage(self._metrics, spec.slot_count, spec.places)
            self._health = Health(self._page)
        if not self._shared:
            self._page.clear()
            self._page.say_all_sent(0)  # nobody says here what is still to come: no list waits for others
        self._health.begin()

    def _close_page(self) -> None:
        if self._page is not None:
            self._page.close()
            os.close(self._metrics)
            self._page = None

    # Waiting

    def _next(self, abandoned: Callable[[], bool] = lambda: False) -> Frame:
        """The next frame that comes back. Raises Lost."""
        assert self._page is not None
        while True:
            try:
                if (frame := self._back.take()) is not None:
                    return frame
                if not self._back.ended and self._back.fill():
                    continue
            except BlockingIOError:
                pass
            except BadFrame as fault:
                raise self._lost(f"protocol fault: {fault}") from fault
            if self._back.ended or self._deaths:
                raise self._lost("a worker left without END")
            self._turn()
            self._check_limits()
            if abandoned():
                assert self._fork_server is not None
                self._fork_server.kill_workers()
                raise Lost(Trouble("", 0, 0, "nobody wants it"))

    def _turn(self) -> None:
        """Wait for events, TURN at most, and act on them."""
        fork_server = self._fork_server
        assert fork_server is not None
        if self._out.queued:
            with self._writing:
                self._out.pump()
        for key, _ in self._selector.select(0.001 if self._out.queued else TURN):
            if key.data is not None:  # what is printed
                key.data()
        self._deaths += fork_server.exits()
        fork_server.check()
        if fork_server.gone:
            raise Lost(Trouble("", 0, 0, "the fork server has ended"))

    def _check_limits(self) -> None:
        assert self._spec is not None
        assert self._fork_server is not None
        late = self._health.look({ONLY: self._spec}, self._fork_server.pids)
        if late is not None:
            self._fork_server.kill_workers()
            raise Lost(late)

    def _lost(self, why: str) -> Lost:
        """What became of the worker, once its end is known."""
        assert self._spec is not None
        assert self._page is not None
        until = monotonic() + PATIENCE
        with suppress(Lost):
            while not self._deaths and monotonic() < until:
                self._turn()
        trouble = root_cause(self._deaths, {ONLY: self._spec}, self._page, why)
        return Lost(self._health.named(trouble))

    # Saying it

    def _report(self, pid: int = 0, error: str = "", trouble: Trouble | None = None) -> Report:
        while any(key.data is not None for key, _ in self._selector.select(0)):
            for key, _ in self._selector.select(0):
                if key.data is not None:
                    key.data()
        printed, self._said[:] = bytes(self._said), b""
        return Report(pid, error, trouble, self._words(), printed)

    def _words(self) -> tuple[SlotWords, ...]:
        """Our slots as they are; nothing where the parent sees them itself."""
        if self._shared or self._page is None or self._spec is None:
            return ()
        return tuple(SlotWords(slot, self._page.slot(slot).words.tobytes()) for slot in self._spec.slots)
