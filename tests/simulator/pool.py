"""The workers of a simulated run, and the transport through which the real loop sees them.

The pipes to the parent are read by the real `Returns`, so order and backpressure there are the real ones.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from simulator.disk import Violation
from simulator.frame_context import SimStop
from simulator.gathering import SimGathering
from simulator.overlap import SimOverlapping
from simulator.pipes import SimFrame, SimPipe, SimReturnPipe, SimSelector
from simulator.runners import SimRunner, SimStages, framed
from simulator.scenario import Dice, Scenario
from simulator.workers import SimWorker, Witness

from stagerunner.engines.base import Clock, Ready, Trouble
from stagerunner.engines.process.parent.returns import Returns
from stagerunner.engines.topology import Group, grouped, pairs
from stagerunner.plan import fusible
from stagerunner.records import BARRIER, END, SKIP
from stagerunner.wire.frame import BadFrame, Frame, Header, Metadata, pack_metadata, unpack_payload

QUIET = pack_metadata(Metadata())
CHARGE = 1
"""Bytes that a frame counts in addition to its payload: as few as the simulated records have."""

PATIENCE = 10
"""At most so many calls of `look` pass between a death and the parent's knowledge of it."""


class SimPool:
    """The transport: the workers and pipes of one epoch at a time."""

    def __init__(self, scenario: Scenario, dice: Dice, selector: SimSelector, witness: Witness) -> None:
        self._scenario = scenario
        self._dice = dice
        self._selector = selector
        self._witness = witness
        self._plan_names = [f"{stage.kind}-{index}" for index, stage in enumerate(scenario.stages)]
        self._stop = SimStop()
        self.workers: list[SimWorker] = []
        self.heads: list[SimPipe] = []
        self._pipes: list[SimReturnPipe] = []
        self._returns = Returns([], selector, 0)  # type: ignore[arg-type]
        self._epoch = 0
        self._setup = 0
        self._broken: int | None = None
        self._why = ""
        self.choices: list[Callable[[], bool]] = []
        """Every move that is possible now without the parent's loop."""
        self.news = True
        """Whether something has happened that wakes the parent."""
        self.activity = 0
        """Counts what the parent's side of the transport does."""
        self.arena = None
        plan = scenario.plan()
        self.groups = grouped(plan, fusible(plan))
        self.cores = 64
        self.regrouped = self.eased = False
        self.in_calls = 0
        self._opened = self.most_opened = 0
        """The most frames that workers had open; they count by their bytes alone."""
        self._looks = scenario.looks
        self.glances: Callable[[], bool] = lambda: False
        """Whether the parent's loop looks again soon."""
        self.ready: Ready | None = None
        self.ended = False
        self.trouble: Trouble | None = None

    # The interface of a transport

    def start(self, epoch: int, snapshots: dict[int, Any]) -> None:
        self._returns.close()
        self._epoch, self.ready, self.ended, self.trouble, self._broken = epoch, None, False, None, None
        self._setup = self._dice.upto(5)
        self.choices = [self._set_up]
        self.activity += 1
        self._spec(snapshots)
        self._pipes = [SimReturnPipe(100 + n, pipe) for n, pipe in enumerate(self._pipe(len(self.groups)))]
        self._returns = Returns(self._pipes, self._selector, self._scenario.window, CHARGE)  # type: ignore[arg-type]

    @property
    def held(self) -> int:
        """Bytes of frames that the parent has read and not taken."""
        return self._returns.holding.bytes

    def _spec(self, snapshots: dict[int, Any]) -> None:
        self._stop = stop = SimStop(halted=self._stop.halted)
        self.workers, self._rows = [], []
        widths = (1, *(group.width for group in self.groups), 1)
        for place, group in enumerate(self.groups):
            row = [
                self._worker(group, number, widths[place : place + 3], snapshots, stop) for number in range(group.width)
            ]
            self._rows.append(row)
            self.workers += row
        self.heads = self._pipe(0)
        for place in range(1, len(self.groups)):
            self._pipe(place)

    def _worker(
        self, group: Group, number: int, widths: tuple[int, ...], snapshots: dict[int, Any], stop: SimStop
    ) -> SimWorker:
        runners = [partial(self._runner, stage.work.index, snapshots, stop) for stage in group.stages]
        work, loud = group.stages[0].work, self._scenario.loud
        if work.gathers:
            size = work.batch or 1
            return SimGathering(runners[0], size, stop, number, widths, self._heard, loud=loud)
        if work.form.awaited:
            stage = self._scenario.stages[work.index]
            most = work.concurrency
            return SimOverlapping(runners[0], stage, most, self._dice, number, widths, self._heard, loud=loud)
        return SimWorker(SimStages([runner() for runner in runners]), number, widths, self._heard, loud=loud)

    def _runner(self, index: int, snapshots: dict[int, Any], stop: SimStop) -> SimRunner:
        return SimRunner(self._scenario, index, snapshots.get(index), stop, self._witness.quarantined)

    def _pipe(self, place: int) -> list[SimPipe]:
        """The pipes before the group `place`: all that can occur."""
        above = self._rows[place - 1] if place else None
        below = self._rows[place] if place < len(self._rows) else None
        pipes = []
        for up, down in pairs(len(above) if above else 1, len(below) if below else 1):
            pipe = SimPipe(self._scenario.capacity)
            pipes.append(pipe)
            if above:
                above[up].outbound[down] = pipe
            if below:
                below[down].inbound[up] = pipe
        return pipes

    def send(self, header: Header, metadata: bytes, body: bytes) -> None:
        frame = SimFrame(header, pickle.loads(body) if body else None, 8 + len(body))
        if metadata != QUIET:
            frame.quarantined = unpack_payload(metadata)[0].quarantined
        if header.kind == BARRIER:
            frame.size = 4
        if header.kind == SKIP:
            frame.size, frame.real = 4, framed(header, metadata)
        self._put(self.heads[header.sequence % len(self.heads)], frame)

    def halt(self) -> None:
        self._stop.halted = True

    def end(self, frames: int) -> None:
        for head in self.heads:
            frame = SimFrame(Header(END, 0, self._epoch, frames), None, 4)
            frame.real = framed(frame.header, b"")
            self._put(head, frame)

    def _put(self, head: SimPipe, frame: SimFrame) -> None:
        self.activity += 1
        head.put(frame)

    def arrivals(self) -> Iterator[Frame]:
        if self.ready is None:
            return
        try:
            for frame in self._returns.frames(self._epoch):
                self.activity += 1
                yield frame
        except BadFrame as fault:
            self._break(f"protocol fault: {fault}")
        if self._returns.broken and not self._returns.ended:
            self.at_eof()
        if not self.ended and self._returns.ended and all(w.state != "alive" for w in self.workers):
            self.ended = self.news = True

    def at_eof(self) -> None:
        self._break("a worker left without END")

    @property
    def busy(self) -> bool:
        return self._returns.turn_is_here()

    works_ahead = True

    def opened(self) -> int:
        self._opened = sum(worker.opened for worker in self.workers)
        self.most_opened = max(self.most_opened, self._opened)
        return self._opened

    def _glance(self) -> bool:
        """Wake the parent if it would look whether workers have begun frames, and they have."""
        if self.ready is None or sum(worker.opened for worker in self.workers) == self._opened or not self.glances():
            return False
        self.news = True
        return True

    def holds(self, sequence: int) -> bool:
        return any(worker.oldest == sequence for worker in self.workers)

    def gathered(self, sequence: int) -> bool:
        ahead = [row for group, row in zip(self.groups, self._rows, strict=True) if group_works_ahead(group)]
        return not ahead or all(worker.following > sequence for worker in ahead[0])

    def say_all_sent(self, sequence: int) -> None:
        self.news |= self._stop.all_sent != sequence
        self._stop.all_sent = sequence

    def begun(self) -> list[int]:
        return []

    def deadline(self) -> float | None:
        return None

    def look(self) -> None:
        self.news = self._broken is not None
        if self._broken is None or self.trouble is not None:
            return
        self._broken -= 1
        self.activity += 1
        if self._broken < 0:
            self.trouble = self._blame()

    def regroup(self, groups: tuple[Group, ...]) -> None:
        self.regrouped |= len(groups) != len(self.groups)
        self.eased |= len(groups) == len(self.groups)
        self.groups = groups

    def clocks(self) -> list[Clock]:
        """Nothing is known for some looks; then each stage works as long as the scenario says, from look to look. What
        the stages took and gave is true, unless they share workers: then it comes from look to look, too."""
        self._looks -= 1
        times = max(0, -self._looks)
        passed = [of for worker in self.workers for of in worker.runner.passed]
        return [
            Clock(
                index,
                times * weight,
                *(0, 0, 0),
                taken=1 + times if self._scenario.fused else sum(took for at, took, _ in passed if at == index),
                out=1 if self._scenario.fused else sum(gave for at, _, gave in passed if at == index),
            )
            for index, weight in enumerate(self._scenario.weights)
        ]

    def teardown_failures(self) -> list[str]:
        return []

    def close(self) -> None:
        self._returns.close()

    # Deaths

    def _break(self, why: str) -> None:
        if self._broken is None:
            self._broken = self._dice.upto(PATIENCE)
            self.news = True
            self._why = why

    def _blame(self) -> Trouble:
        """The worker of the earliest stage that died by itself."""
        dead = [worker for worker in self.workers if worker.state == "dead"]
        if not dead:
            return Trouble("", 0, 0, self._why)
        worker = min(dead, key=lambda worker: worker.runner.index)
        slot, index = worker.slot, worker.runner.index
        self.in_calls = max(self.in_calls, len(worker.calls))
        return Trouble(
            stage=self._plan_names[index],
            worker=worker.number,
            pid=1,
            how=worker.how,
            index=index,
            calls=worker.calls,
            split=slot.split if slot.holding else -1,
            origin=slot.origin if slot.holding else -1,
            ordinal=slot.ordinal if slot.holding and slot.origin >= 0 else -1,
            first=slot.first,
            last=slot.last,
        )

    def _heard(self, worker: SimWorker) -> None:
        """The fork server reports a worker's end."""
        self.news = True
        if worker.state == "dead":
            self._witness.died(worker)
        if worker.state != "done" and not self._returns.ended:
            self._break("a worker has ended")

    # Moves of the scheduler

    def _set_up(self) -> bool:
        if self.ready is not None:
            return False
        self._setup -= 1
        if self._setup < 0:
            self.ready, self.news = Ready((), ()), True
            self._returns.begin_turns()
            reads = [partial(self._read, pipe) for pipe in self._pipes]
            moves = [*(worker.move for worker in self.workers), *(head.pump for head in self.heads), *reads]
            self.choices = [*moves, self._glance] if any(group_works_ahead(group) for group in self.groups) else moves
        return True

    def _read(self, pipe: SimReturnPipe) -> bool:
        callback = self._selector.readers.get(pipe.fd)
        if callback is None:
            return False
        self._check_room(pipe)
        before = pipe.pipe.fills
        callback()
        moved = pipe.pipe.fills != before or pipe.ended
        self.news |= moved
        return moved

    def _check_room(self, pipe: SimReturnPipe) -> None:
        """If a window's worth of bytes is held, only the next frame in turn may be read."""
        # Private, since the order of reading is the rule that is checked, and no caller of `Returns` sees it.
        returns, number = self._returns, self._pipes.index(pipe)
        turn = number == returns._turn and not returns._here[number]
        if returns._ready and self.held >= self._scenario.window and not turn:
            raise Violation(f"{self.held} bytes are held, and more was read")


def group_works_ahead(group: Group) -> bool:
    return any(stage.works_ahead for stage in group.stages)
