"""The workers of a simulated run, and the transport through which the real loop sees them.

The links to the parent are read by the real `Returns`, so order and backpressure there are the real ones.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from simulator.disk import Wrong
from simulator.passages import Stop
from simulator.pipes import Parcel, Pipe, ReturnLink, Watched
from simulator.scenario import Dice, Scenario
from simulator.stations import Station, Stations, framed
from simulator.workers import Witness, Worker

from stagerunner.engines.base import Clock, Ready, Trouble
from stagerunner.engines.process.parent.returns import Returns
from stagerunner.engines.topology import Group, grouped, pairs
from stagerunner.plan import fusible
from stagerunner.records import BARRIER, BLANK, END
from stagerunner.wire.frame import BadFrame, Frame, Header
from stagerunner.wire.metadata import Notes, pack_notes, unpack_payload

QUIET = pack_notes(Notes())
CHARGE = 1
"""Bytes a frame is charged: as little as the records have."""

PATIENCE = 10
"""Looks, at most, from a death until the parent has heard of it."""


class Crew:
    """The transport: an epoch's workers and pipes at a time."""

    def __init__(self, scenario: Scenario, dice: Dice, selector: Watched, witness: Witness) -> None:
        self._scenario = scenario
        self._dice = dice
        self._selector = selector
        self._witness = witness
        self._plan_names = [f"{stage.kind}-{index}" for index, stage in enumerate(scenario.stages)]
        self.workers: list[Worker] = []
        self.heads: list[Pipe] = []
        self._links: list[ReturnLink] = []
        self._returns = Returns([], selector, 0)  # type: ignore[arg-type]
        self._epoch = 0
        self._setup = 0
        self._broken: int | None = None
        self._why = ""
        self.choices: list[Callable[[], bool]] = []
        """Everything that can happen now without the parent's loop."""
        self.news = True
        """Something has happened that wakes the parent."""
        self.activity = 0
        """Goes up whenever the parent's side of the transport does something."""
        self.lane = None
        plan = scenario.plan()
        self.groups = grouped(plan, fusible(plan))
        self.cores = 64
        self.regrouped = False
        self._looks = scenario.looks
        self.ready: Ready | None = None
        self.ended = False
        self.trouble: Trouble | None = None

    # The transport's face

    def start(self, epoch: int, snapshots: dict[int, Any], *, careful: bool = False) -> None:
        self._returns.close()
        self._epoch, self.ready, self.ended, self.trouble, self._broken = epoch, None, False, None, None
        self._setup = self._dice.upto(5)
        self.choices = [self._set_up]
        self.activity += 1
        self._hire(snapshots, careful)
        self._links = [ReturnLink(100 + n, pipe) for n, pipe in enumerate(self._link(len(self.groups)))]
        self._returns = Returns(self._links, self._selector, self._scenario.window, CHARGE)  # type: ignore[arg-type]

    @property
    def held(self) -> int:
        """Bytes of frames that the parent has here and hasn't taken."""
        return self._returns.holding.bytes

    def _hire(self, snapshots: dict[int, Any], careful: bool) -> None:
        stop, self.workers, self._rows = Stop(), [], []
        widths = (1, *(group.width for group in self.groups), 1)
        for place, group in enumerate(self.groups):
            row = [
                Worker(
                    Stations([self._station(stage.work.index, snapshots, stop, careful) for stage in group.stages]),
                    number,
                    widths[place : place + 3],
                    self._heard,
                )
                for number in range(group.width)
            ]
            self._rows.append(row)
            self.workers += row
        self.heads = self._link(0)
        for place in range(1, len(self.groups)):
            self._link(place)

    def _station(self, index: int, snapshots: dict[int, Any], stop: Stop, careful: bool) -> Station:
        return Station(self._scenario, index, snapshots.get(index), stop, self._witness.convicted, careful)

    def _link(self, place: int) -> list[Pipe]:
        """The pipes before the group `place`: all that can occur."""
        above = self._rows[place - 1] if place else None
        below = self._rows[place] if place < len(self._rows) else None
        pipes = []
        for up, down in pairs(len(above) if above else 1, len(below) if below else 1):
            pipe = Pipe(self._scenario.capacity)
            pipes.append(pipe)
            if above:
                above[up].outbound[down] = pipe
            if below:
                below[down].inbound[up] = pipe
        return pipes

    def send(self, header: Header, notes: bytes, body: bytes) -> None:
        parcel = Parcel(header, pickle.loads(body) if body else None, 8 + len(body))
        if notes != QUIET:
            parcel.convicted = unpack_payload(notes)[0].convicted
        if header.kind == BARRIER:
            parcel.size = 4
        if header.kind == BLANK:
            parcel.size, parcel.frame = 4, framed(header, notes)
        self._put(self.heads[header.sequence % len(self.heads)], parcel)

    def end(self, frames: int) -> None:
        for head in self.heads:
            parcel = Parcel(Header(END, 0, self._epoch, frames), None, 4)
            parcel.frame = framed(parcel.header, b"")
            self._put(head, parcel)

    def _put(self, head: Pipe, parcel: Parcel) -> None:
        self.activity += 1
        head.put(parcel)

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
        self.groups, self.regrouped = groups, True

    def clocks(self) -> list[Clock]:
        """Nothing is known for some looks; then each stage has worked as long as the scenario says."""
        self._looks -= 1
        weights = self._scenario.weights if self._looks < 0 else [0] * len(self._scenario.stages)
        return [Clock(index, weight, 0, 0, 0, 1, 1) for index, weight in enumerate(weights)]

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
        """The first stage's worker that died of itself."""
        dead = [worker for worker in self.workers if worker.state == "dead"]
        if not dead:
            return Trouble("", 0, 0, self._why)
        worker = min(dead, key=lambda worker: worker.station.index)
        slot, index = worker.station.slot, worker.station.index
        return Trouble(
            stage=self._plan_names[index],
            worker=worker.number,
            pid=1,
            how="SIGKILL",
            index=index,
            blamed=index,
            split=slot.split if slot.holding else -1,
            origin=slot.origin if slot.holding else -1,
            ordinal=slot.ordinal if slot.holding and slot.origin >= 0 else -1,
            first=slot.first,
            last=slot.last,
        )

    def _heard(self, worker: Worker) -> None:
        """The keeper reports a worker's end."""
        self.news = True
        if worker.state == "dead":
            self._witness.died(worker)
        if worker.state != "done" and not self._returns.ended:
            self._break("a worker has ended")

    # What the scheduler can do with it

    def _set_up(self) -> bool:
        if self.ready is not None:
            return False
        self._setup -= 1
        if self._setup < 0:
            self.ready, self.news = Ready((), ()), True
            self._returns.begin_turns()
            reads = [partial(self._read, link) for link in self._links]
            self.choices = [*(worker.move for worker in self.workers), *(head.pump for head in self.heads), *reads]
        return True

    def _read(self, link: ReturnLink) -> bool:
        callback = self._selector.readers.get(link.fd)
        if callback is None:
            return False
        self._check_room(link)
        before = link.pipe.fills
        callback()
        moved = link.pipe.fills != before or link.ended
        self.news |= moved
        return moved

    def _check_room(self, link: ReturnLink) -> None:
        """Beyond the window's bytes nothing may be read but the next frame in turn."""
        returns, number = self._returns, self._links.index(link)
        turn = number == returns._turn and not returns._here[number]
        if returns._ready and self.held >= self._scenario.window and not turn:
            raise Wrong(f"{self.held} bytes are held, and more was read")
