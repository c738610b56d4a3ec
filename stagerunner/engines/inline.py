"""`run.engine: inline`: all stages in this process, one after the other, so that `breakpoint()` works.

Each frame passes the same stage runners and the same codec as between processes: it fails where they fail, and gives
the same records, failures and ledger. Timeouts are not enforced, because no other process can kill a stage.
"""

from __future__ import annotations

import os
import selectors
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from msgspec.structs import replace

from stagerunner.config.masking import printing_aside
from stagerunner.engines.base import Clock, Ready, Transport, Trouble
from stagerunner.engines.process.parent.fork_server import how_ended
from stagerunner.engines.slots import trouble_in_slots
from stagerunner.engines.topology import Group, groups_of, places_of, slots_of, specs
from stagerunner.engines.worker.hooks import call_hooks
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.evaluate.wording import describe
from stagerunner.guard import is_ctrl_c
from stagerunner.inherited import environment_kept
from stagerunner.parts.files import register
from stagerunner.plan import Plan
from stagerunner.records import END
from stagerunner.wire.arena import Arena
from stagerunner.wire.frame import Frame, Header
from stagerunner.wire.metrics import BLOCK, CODEC, OUT, SINCE, TAKEN, WAIT, WORK, MetricsPage, create
from stagerunner.wire.spec import WorkerSpec


class InlineTransport:
    """Frames wait in a queue and pass the stages when `arrivals` is called."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.groups = tuple(replace(group, width=1) for group in groups_of(plan))
        self.cores = 1
        self._metrics = create(slots_of(self.groups), places_of(plan))
        self._page = MetricsPage(self._metrics, slots_of(self.groups), places_of(plan))
        self._runners: list[StageRunner] = []
        self._queue: deque[Frame] = deque()
        self._under_way: Iterator[Frame] | None = None
        """The rest of the results of the last frame."""
        self._specs: list[WorkerSpec] = []
        self._teardown: list[str] = []
        self._open = ExitStack()
        self._open.enter_context(printing_aside(plan.secrets))
        self._open.enter_context(environment_kept())
        self.arena: Arena | None = None
        self.ready: Ready | None = None
        self.ended = False
        self.trouble: Trouble | None = None

    def start(self, epoch: int, snapshots: dict[int, Any]) -> None:
        register(self._plan.files)
        self._page.clear()
        self._abandon()
        self.ended, self.trouble = False, None
        errors = []
        self._specs = list(specs(self._plan, self.groups, epoch, snapshots))
        for spec in self._specs:
            os.environ.update(dict(spec.env))
            runner = StageRunner(spec, self._page)
            self._runners.append(runner)
            try:
                with outside_loops():
                    call_hooks(spec.started_hooks, spec)
                    runner.setup()
            except BaseException as error:
                if is_ctrl_c(error):
                    raise
                errors.append((spec.works[0].index if spec.works else 0, 0, os.getpid(), describe(error)))
        pids = tuple((index, 0, os.getpid()) for index in range(len(self._runners)))
        self.ready = Ready(pids, tuple(errors))

    works_ahead = False
    """Every frame goes through all stages before the next one."""

    def opened(self) -> int:
        return 0

    def stop_behind(self, sequence: int) -> None:
        pass

    def gathered(self, sequence: int) -> bool:
        return True

    def holds(self, sequence: int) -> bool:
        return False

    def say_all_sent(self, sequence: int) -> None:
        pass

    def begun(self) -> list[int]:
        return [0]

    def regroup(self, groups: tuple[Group, ...]) -> None:
        raise NotImplementedError("each stage has a stage runner of its own, and every frame is encoded in between")

    def send(self, header: Header, metadata: bytes, body: bytes) -> None:
        self._queue.append(Frame(header, metadata + body))

    def halt(self) -> None:
        self._page.halt()

    def end(self, frames: int) -> None:
        self._queue.append(Frame(Header(END, 0, 0, frames), b""))

    def arrivals(self) -> Iterator[Frame]:
        """The results of the next frame. One frame per call, so that the loop can act in between.

        Pieces that the caller does not take are given in the next call.
        """
        if self.ready is None or self.ready.errors or not self.busy:
            return
        if self._under_way is None:
            frame = self._queue.popleft()
            if frame.header.kind == END:
                self._end()
                return
            self._under_way = self._through(frame, 0)
        try:
            with outside_loops():
                for piece in self._under_way:  # noqa: UP028 - `yield from` would close it when the caller stops half-way
                    yield piece
        except GeneratorExit:  # the caller takes no more now
            raise
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            self.trouble = self._trouble(error)
        self._under_way = None

    def _end(self) -> None:
        for runner, spec in zip(self._runners, self._specs, strict=True):
            self._close(runner, spec)
        self.ended = True

    def _close(self, runner: StageRunner, spec: WorkerSpec) -> None:
        try:
            with outside_loops():
                runner.close()
                call_hooks(spec.stopping_hooks, spec)
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            self._teardown.append(f"{spec.label}: {describe(error)}")

    def _trouble(self, error: BaseException) -> Trouble:
        """The trouble for an error that would end a worker: a record that can't be decoded."""
        print(describe(error), file=sys.stderr)
        at = max(
            range(len(self._specs)), key=lambda position: self._page.slot(self._specs[position].slots[0]).words[SINCE]
        )
        return trouble_in_slots(self._specs[at], self._page, os.getpid(), how_ended(1))

    def _through(self, frame: Frame, position: int) -> Iterator[Frame]:
        if position == len(self._runners):
            yield frame
            return
        for header, metadata, body in self._runners[position].feed(frame):
            yield from self._through(Frame(header, b"".join((metadata, body))), position + 1)

    @property
    def busy(self) -> bool:
        return bool(self._queue) or self._under_way is not None

    def deadline(self) -> float | None:
        return None

    def look(self) -> None:
        pass

    def clocks(self) -> list[Clock]:
        return [self._clock(index, spec.slots[0]) for index, spec in enumerate(self._specs)]

    def _clock(self, index: int, slot: int) -> Clock:
        words, (paused, pausing) = self._page.slot(slot).words, self._page.pause(slot).times()
        times = words[WORK], words[CODEC], words[WAIT], words[BLOCK], words[TAKEN], words[OUT]
        return Clock(index, *times, paused=paused, pausing=pausing)

    def teardown_failures(self) -> list[str]:
        return self._teardown

    def _abandon(self) -> None:
        """Close stage runners that have not ended. Errors are ignored: the run has ended already."""
        for runner in () if self.ended else self._runners:
            with suppress(BaseException), outside_loops():
                runner.close()
        self._runners.clear()
        self._queue.clear()
        self._under_way = None

    def kill(self) -> None:
        """Nothing to kill: there is only this process."""

    def close(self) -> None:
        self._abandon()
        self._open.close()
        self._page.close()
        os.close(self._metrics)


@contextmanager
def outside_loops() -> Iterator[None]:
    """Let stages run event loops of their own even if the caller runs in one, as in a notebook.

    Python keeps the running loop and task per thread. Both are removed and put back. A worker has no such caller.
    """
    events, tasks = sys.modules.get("asyncio.events"), sys.modules.get("asyncio.tasks")
    loop = None if events is None else events._get_running_loop()
    if events is None or tasks is None or loop is None:
        yield
        return
    task = tasks.current_task(loop)
    if task is not None:
        tasks._leave_task(loop, task)
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(loop)
        if task is not None:
            tasks._enter_task(loop, task)


class InlineEngine:
    """The engine for debugging."""

    name = "inline"

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        return InlineTransport(plan)
