"""`run.engine: threads`: every worker is a thread of this process.

Without a global interpreter lock (free-threaded Python), or for stages that release it, it is as parallel as processes,
and a frame costs less. Like inline it can't kill: timeouts are not enforced, and a stage that kills its process ends
the run.
"""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic

from stagerunner.config.masking import printing_aside
from stagerunner.engines.base import Transport, Trouble
from stagerunner.engines.bell import Bell
from stagerunner.engines.pool.base import Done, Tell
from stagerunner.engines.pool.transport import PoolTransport
from stagerunner.engines.process.parent.fork_server import how_ended
from stagerunner.engines.slots import trouble_in_slots
from stagerunner.engines.worker.encode import Parts
from stagerunner.engines.worker.hooks import call_hooks
from stagerunner.engines.worker.in_flight import WorkAhead
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.evaluate.wording import describe
from stagerunner.inherited import environment_kept
from stagerunner.parts.files import register
from stagerunner.plan import Plan
from stagerunner.records import DATA, END
from stagerunner.wire.frame import bundle, frames_of
from stagerunner.wire.metrics import MetricsPage
from stagerunner.wire.spec import WorkerSpec

Bundle = Future[bytes | None]
"""What a worker will have given; None if it gives nothing."""


class ThreadWorker:
    """A worker in a thread. tell: called when something that it was given is done."""

    def __init__(self, spec: WorkerSpec, page: MetricsPage, tell: Tell) -> None:
        self._spec = spec
        self._page = page
        self._tell = tell
        self._given: SimpleQueue[tuple[Bundle, bytes | Bundle] | None] = SimpleQueue()
        self.ready: Bundle = Future()
        self._dropped = False
        self._runner = StageRunner(spec, page)
        self._thread = Thread(target=self._run, name=spec.label, daemon=True)
        self._thread.start()

    def submit(self, given: bytes | Bundle) -> Bundle:
        made: Bundle = Future()
        self._given.put((made, given))
        return made

    def drop(self) -> None:
        """Have it end after the frame in hand."""
        self._dropped = True
        self._given.put(None)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        error = self._setup()
        self._tell(Done(self.ready, os.getpid(), error))
        if not error and self._live():
            self._close()  # the epoch is over already: nobody asks how it went
        else:
            self._give_nothing()

    def _give_nothing(self) -> None:
        """Until it is dropped. A worker behind it may be waiting."""
        while (item := self._given.get()) is not None:
            item[0].set_result(None)

    def _live(self) -> bool:
        """Work on what is given, until it is dropped. Whether the stages are still open then."""
        while (item := self._given.get()) is not None:
            made, given = item
            data = given.result() if isinstance(given, Future) else given
            if self._dropped:
                made.set_result(None)
            elif not self._work(made, data):
                return False
        return True

    def _setup(self) -> str:
        try:
            call_hooks(self._spec.started_hooks, self._spec)
            self._runner.setup()
        except BaseException as error:
            return describe(error)
        return ""

    def _work(self, made: Bundle, data: bytes | None) -> bool:
        """Feed the frames; whether to go on."""
        found, trouble, more = None, None, True
        try:
            if data is not None:
                frames = list(frames_of(data))
                if frames and frames[0].header.kind == END:
                    made.set_result(None)
                    self._tell(Done(made, error=self._close()))
                    return False
                found = bundle(part for frame in frames for part in self._runner.feed(frame))
        except BaseException as error:
            more, trouble = False, self._failed(error)
        made.set_result(found)
        self._tell(Done(made, trouble=trouble))
        return more

    def _failed(self, error: BaseException) -> Trouble | None:
        """What is told of a worker that can't go on; nothing once it is dropped."""
        if self._dropped:
            return None
        print(describe(error), file=sys.stderr)
        return trouble_in_slots(self._spec, self._page, os.getpid(), how_ended(1))

    def _close(self) -> str:
        try:
            self._runner.close()
            call_hooks(self._spec.stopping_hooks, self._spec)
        except BaseException as error:
            return describe(error)
        return ""


class AheadWorker(ThreadWorker):
    """A worker in a thread whose stage works ahead: it takes frames in while it has use for records.

    What it was given may come later, from another worker. So a bell rings when it has come.
    """

    def __init__(self, spec: WorkerSpec, page: MetricsPage, tell: Tell) -> None:
        self._bell = Bell()
        self._following = spec.number
        self._head: tuple[Bundle, bytes | Bundle] | None = None
        """What it was given next."""
        self._open: dict[int, Bundle] = {}
        """The frames that have begun, by sequence."""
        self._parts: list[Parts] = []
        """What is made of the oldest of them."""
        super().__init__(spec, page, tell)

    def submit(self, given: bytes | Bundle) -> Bundle:
        made = super().submit(given)
        if isinstance(given, Future):
            given.add_done_callback(self._bell.ring)
        else:
            self._bell.ring()
        return made

    def drop(self) -> None:
        super().drop()
        self._bell.ring()

    def _run(self) -> None:
        try:
            super()._run()
        finally:
            self._bell.close()

    def _live(self) -> bool:
        goes_on = True
        try:
            ahead = WorkAhead(self._runner, self._page, self._spec)
            while goes_on and not self._dropped:
                self._bell.silence()
                ahead.took_in(self._following)
                if (hungry := ahead.room()) and (came := self._came()) is not None:
                    goes_on = self._take_in(ahead, *came)
                else:
                    self._send(ahead.landed(self._bell.fd if hungry else None, self._following))
        except BaseException as error:
            goes_on = False
            made = next(iter(self._open.values()), self.ready)
            self._tell(Done(made, trouble=self._failed(error)))
        for made in (*self._open.values(), *((self._head[0],) if self._head is not None else ())):
            made.set_result(None)
        if goes_on:
            self._give_nothing()
        return goes_on

    def _came(self) -> tuple[Bundle, bytes | None] | None:
        """What it was given next, if that is here."""
        if self._head is None:
            with suppress(Empty):
                self._head = self._given.get_nowait()
        if self._head is None:
            return None
        made, given = self._head
        if isinstance(given, Future) and not given.done():
            return None
        self._head = None
        return made, given.result() if isinstance(given, Future) else given

    def _take_in(self, ahead: WorkAhead, made: Bundle, data: bytes | None) -> bool:
        """Begin a frame, or end; whether to go on."""
        frames = [] if data is None else list(frames_of(data))
        if not frames:
            made.set_result(None)
            self._tell(Done(made, nothing=True))
            return True
        header = frames[0].header
        self._open[header.sequence if header.kind != END else -1] = made
        if header.kind == DATA and not header.marked:
            for frame in frames:
                ahead.begin(frame)
        elif ahead.passes(header.kind):
            ahead.pass_on(frames[0])
        else:
            self._end_calls(ahead)
            if header.kind == END:
                self._tell(Done(made, error=self._close()))
                return False
            for frame in frames:
                self._send(self._runner.feed(frame))
        self._following += self._spec.width
        return True

    def _end_calls(self, ahead: WorkAhead) -> None:
        while ahead.under_way:
            ahead.hasten()
            self._send(ahead.landed(None, self._following))

    def _send(self, made: Iterable[Parts]) -> None:
        """Give on what is made of frames, a frame at a time."""
        for header, metadata, body in made:
            self._parts.append((header, metadata, body))
            if not header.more:
                ticket = self._open.pop(header.sequence)
                ticket.set_result(bundle(self._parts))
                self._parts = []
                self._tell(Done(ticket))


class ThreadPool:
    """Workers as threads of this process."""

    works_ahead = True
    shares_page = True

    def __init__(self, plan: Plan, page: MetricsPage, tell: Tell) -> None:
        self._plan = plan
        self._page = page
        self._tell = tell
        self._workers: list[ThreadWorker] = []
        self._open = ExitStack()
        self._open.enter_context(printing_aside(plan.secrets))
        self._open.enter_context(environment_kept())

    def open(self, specs: Sequence[WorkerSpec]) -> list[Bundle]:
        self._drop(self._plan.run.grace)
        register(self._plan.files)
        for spec in specs:
            os.environ.update(dict(spec.env))
        self._workers = [
            (AheadWorker if spec.works_ahead else ThreadWorker)(spec, self._page, self._tell) for spec in specs
        ]
        return [worker.ready for worker in self._workers]

    def submit(self, worker: int, given: bytes | Bundle) -> Bundle:
        return self._workers[worker].submit(given)

    def fetch(self, ticket: Bundle) -> bytes:
        return ticket.result() or b""

    def hopeless(self) -> str:
        return ""

    def halt(self) -> None:
        pass

    def kill(self) -> None:
        pass

    def close(self) -> None:
        self._drop(self._plan.run.grace)
        self._open.close()

    def _drop(self, grace: float) -> None:
        for worker in self._workers:
            worker.drop()
        until = monotonic() + grace
        for worker in self._workers:
            worker.join(max(0.0, until - monotonic()))
        self._workers = []


class ThreadsEngine:
    """Workers as threads."""

    name = "threads"

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        return PoolTransport(plan, selector, lambda _, page, tell: ThreadPool(plan, page, tell))
