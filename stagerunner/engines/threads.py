"""`run.engine: threads`: every worker is a thread of this process.

Without a global interpreter lock (free-threaded Python), or for stages that release it, it is as parallel as processes,
and a frame costs less. Like inline it can't kill: timeouts are not enforced, and a stage that kills its process ends
the run.
"""

from __future__ import annotations

import os
import selectors
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from time import monotonic

from stagerunner.config.masking import printing_aside
from stagerunner.engines.base import Transport
from stagerunner.engines.pool.base import Done, Tell
from stagerunner.engines.pool.transport import PoolTransport
from stagerunner.engines.process.parent.fork_server import how_ended
from stagerunner.engines.slots import trouble_in_slots
from stagerunner.engines.worker.hooks import call_hooks
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.evaluate.wording import describe
from stagerunner.inherited import environment_kept
from stagerunner.parts.files import register
from stagerunner.plan import Plan
from stagerunner.records import END
from stagerunner.wire.bundle import bundle, frames_of
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
        working = not error
        while (item := self._given.get()) is not None:
            made, given = item
            data = given.result() if isinstance(given, Future) else given
            if working and not self._dropped:
                working = self._work(made, data)
            else:
                made.set_result(None)  # a worker behind it may be waiting
        if working:
            self._close()  # the epoch is over already: nobody asks how it went

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
            more = False
            if not self._dropped:
                print(describe(error), file=sys.stderr)
                trouble = trouble_in_slots(self._spec, self._page, os.getpid(), how_ended(1))
        made.set_result(found)
        self._tell(Done(made, trouble=trouble))
        return more

    def _close(self) -> str:
        try:
            self._runner.close()
            call_hooks(self._spec.stopping_hooks, self._spec)
        except BaseException as error:
            return describe(error)
        return ""


class ThreadPool:
    """Workers as threads of this process."""

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
        self._workers = [ThreadWorker(spec, self._page, self._tell) for spec in specs]
        return [worker.ready for worker in self._workers]

    def submit(self, worker: int, given: bytes | Bundle) -> Bundle:
        return self._workers[worker].submit(given)

    def fetch(self, ticket: Bundle) -> bytes:
        return ticket.result() or b""

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
