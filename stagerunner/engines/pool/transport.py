"""The transport of every engine that has a pool."""

from __future__ import annotations

import os
import selectors
from collections import deque
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from time import monotonic, monotonic_ns
from typing import Any

from stagerunner.engines.base import Clock, Ready, Trouble
from stagerunner.engines.bell import Bell
from stagerunner.engines.pool.base import Done, Pool, Tell, Ticket
from stagerunner.engines.slots import begun, clocks, gathered
from stagerunner.engines.topology import Group, groups_of, places_of, slots_of, specs
from stagerunner.errors import RunFailed, Stopped
from stagerunner.plan import Plan
from stagerunner.records import DATA, END
from stagerunner.wire.arena import Arena
from stagerunner.wire.frame import CUT, BadFrame, Frame, Header, Metadata, bundle, frames_of, pack_metadata
from stagerunner.wire.metrics import SINCE, MetricsPage, create
from stagerunner.wire.spec import WorkerSpec

LEAST_GRACE = 1.0
"""Seconds that workers get to close at least, even if the run is stopped with less grace."""

PLACING = 30.0
"""Seconds that workers may wait for a place, besides the `start_timeout` of their stages."""

ASKING = 3.0
"""Seconds between two questions whether there is hope that workers find a place."""

MOST_OPEN = 1024
"""Frames open in workers beside those that are always on their way: each is some calls of the pool."""

EMPTY = b"\x80\x05]."
"""No records, pickled."""


class PoolTransport:
    """Moves the frames of a run through the workers of a pool.

    make: makes the pool; it is given the metrics page's descriptor, and what it calls when a ticket is done. printed:
    called with what a worker printed, as `Printed` calls it.
    """

    def __init__(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        make: Callable[[int, MetricsPage, Tell], Pool],
        printed: Callable[[str, int, bytes], None] | None = None,
    ) -> None:
        self._plan = plan
        self._selector = selector
        self._printed = printed
        self.groups = groups_of(plan)
        self.cores = 1
        self.arena: Arena | None = None
        self._metrics = create(slots_of(self.groups), places_of(plan))
        self._page = MetricsPage(self._metrics, slots_of(self.groups), places_of(plan))
        self._told: SimpleQueue[Done] = SimpleQueue()
        self._bell = Bell()
        selector.register(self._bell.fd, selectors.EVENT_READ, self._hear)
        self._specs: list[WorkerSpec] = []
        self._failures: list[str] = []
        self._halting = False
        """The pool has to be told that the run is halted: not in a signal handler."""
        self._begin(0)
        self._pool = make(self._metrics, self._page, self._tell)
        self.works_ahead = self._pool.works_ahead

    def _begin(self, epoch: int) -> None:
        self._epoch, self._sequence = epoch, 0
        self._worker_of: dict[Ticket, int] = {}
        """The worker of each ticket of this epoch that isn't done."""
        self._opening: set[Ticket] = set()
        self._ending: set[Ticket] = set()
        self._last: dict[Ticket, Header] = {}
        """The header of each frame, by the ticket of its last worker."""
        self._back: dict[int, Ticket | None] = {}
        """What came back, by sequence; None for a frame that was cut before anything was done for it."""
        self._frames: deque[Frame] = deque()
        """What is left of the bundle whose turn it is."""
        self._sent: dict[int, Header] = {}
        self._lines: list[tuple[int, int, int, str]] = []
        self._end_after: int | None = None
        self._ended_at: float | None = None
        self.ready: Ready | None = None
        self.trouble: Trouble | None = None

    def _tell(self, done: Done) -> None:
        self._told.put(done)
        self._bell.ring()

    def _hear(self) -> None:
        """Take what the pool has told."""
        self._bell.silence()
        while not self._told.empty():
            self._take(self._told.get())

    # Epochs

    def start(self, epoch: int, snapshots: dict[int, Any]) -> None:
        self._begin(epoch)
        self._page.clear()
        if not self.works_ahead:
            self._page.say_all_sent(0)  # a frame is worked on alone: no list waits for others
        self._specs = list(specs(self._plan, self.groups, epoch, snapshots))
        self._starts = self._numbered()
        opened = self._pool.open(self._specs)
        self._worker_of = {ticket: worker for worker, ticket in enumerate(opened)}
        self._opening = set(opened)
        self._opened_at, self._ask_after = monotonic(), ASKING

    def _numbered(self) -> list[tuple[int, int]]:
        """The first worker of each group, and how many it has."""
        starts, first = [], 0
        for group in self.groups:
            starts.append((first, group.width))
            first += group.width
        return starts

    def regroup(self, groups: tuple[Group, ...]) -> None:
        self.groups = groups

    # Frames

    def send(self, header: Header, metadata: bytes, body: bytes) -> None:
        given: bytes | Ticket = bundle([(header, metadata, body)])
        for first, width in self._starts:
            worker = first + header.sequence % width
            given = self._pool.submit(worker, given)
            self._worker_of[given] = worker
        self._last[given] = header
        self._sent[header.sequence] = header

    def end(self, frames: int) -> None:
        self._end_after = frames
        for worker in range(len(self._specs)):
            ticket = self._pool.submit(worker, bundle([(Header(END, 0, self._epoch, frames), b"", b"")]))
            self._worker_of[ticket] = worker
            self._ending.add(ticket)

    def halt(self) -> None:
        self._page.halt()
        self._halting = not self._pool.shares_page

    def _take(self, done: Done) -> None:
        """Act on a ticket that is done; one of an earlier epoch is nobody's."""
        worker = self._worker_of.pop(done.ticket, None)
        if worker is None:
            return
        for slot, words in done.words:
            self._page.slot(slot).words.cast("B")[:] = words
            self._page.slot(slot).words[SINCE] = monotonic_ns()  # theirs is another machine's clock
        if done.printed and self._printed is not None:
            self._printed("+".join(self._specs[worker].names) or "copy", self._specs[worker].number, done.printed)
        if done.trouble is not None:
            self.trouble = self.trouble or done.trouble
        elif done.ticket in self._opening:
            self._set_up(done, worker)
        elif done.ticket in self._ending:
            self._closed(done, worker)
        elif (header := self._last.pop(done.ticket, None)) is not None and not done.nothing:
            self._back[header.sequence] = None if done.cut else done.ticket

    def _set_up(self, done: Done, worker: int) -> None:
        spec = self._specs[worker]
        self._opening.discard(done.ticket)
        self._lines.append((spec.works[0].index if spec.works else 0, spec.number, done.pid, done.error))
        if not self._opening:
            lines = sorted(self._lines)
            self.ready = Ready(tuple(line[:3] for line in lines), tuple(line for line in lines if line[3]))

    def _closed(self, done: Done, worker: int) -> None:
        self._ending.discard(done.ticket)
        if done.error:
            self._failures.append(f"{self._specs[worker].label}: {done.error}")

    def arrivals(self) -> Iterator[Frame]:
        if self.ready is None or self.ready.errors:
            return
        while self._turn_is_here():
            yield self._frames.popleft()

    def _turn_is_here(self) -> bool:
        """Whether there is a frame whose turn it is; fetches what it came in."""
        while not self._frames and self._sequence in self._back and self.trouble is None:
            ticket, header = self._back.pop(self._sequence), self._sent.pop(self._sequence)
            self._sequence += 1
            try:
                data = self._nothing_done(header) if ticket is None else self._pool.fetch(ticket)
                self._frames.extend(frames_of(data))
                self._check(header)
            except (BadFrame, LookupError) as error:
                self._frames.clear()
                self.trouble = Trouble("", 0, 0, f"a frame was lost: {error}")
        return bool(self._frames)

    def _nothing_done(self, sent: Header) -> bytes:
        """The bundle for a frame of a halted run that nothing was done for: it is cut before its first record."""
        empty = Header(DATA, CUT, sent.epoch, sent.sequence, sent.split, sent.first, sent.first)
        return bundle([(empty, pack_metadata(Metadata()), b"" if self._plan.sinks else EMPTY)])

    def _check(self, sent: Header) -> None:
        """Raises BadFrame if what came back isn't what became of the frame."""
        for frame in self._frames:
            if frame.header.sequence != sent.sequence or frame.header.epoch != self._epoch:
                raise BadFrame(f"frame {frame.header.sequence} where {sent.sequence} was due")
        if not self._frames or self._frames[-1].header.more:
            raise BadFrame(f"only a part of frame {sent.sequence} came")

    @property
    def busy(self) -> bool:
        return bool(self._frames) or self._sequence in self._back

    @property
    def ended(self) -> bool:
        """All frames are back, and all workers have closed, or are over their grace."""
        return self._all_back and not self._ending

    @property
    def _all_back(self) -> bool:
        return self._end_after is not None and self._sequence >= self._end_after and not self._frames

    # What workers say of themselves

    def opened(self) -> int:
        return min(self._page.opened(), MOST_OPEN)

    def gathered(self, sequence: int) -> bool:
        return gathered(self._specs, self._page, sequence)

    def holds(self, sequence: int) -> bool:
        return self._page.holds(sequence)

    def say_all_sent(self, sequence: int) -> None:
        self._page.say_all_sent(sequence)

    def stop_behind(self, sequence: int) -> None:
        self._page.stop_behind(sequence)

    def begun(self) -> list[int]:
        return begun(self._specs, self._page)

    def clocks(self) -> list[Clock]:
        return clocks(self._specs, self._page)

    def deadline(self) -> float | None:
        return None

    def look(self) -> None:
        """Pass a halt on; stop waiting for workers that don't close. Raises as `_check_opening`."""
        if self._halting:
            self._halting = False
            self._pool.halt()
        self._check_opening()
        if not self._all_back or not self._ending:
            return
        self._ended_at = self._ended_at or monotonic()
        if monotonic() - self._ended_at > max(LEAST_GRACE, self._plan.run.grace):
            late = sorted(self._worker_of[ticket] for ticket in self._ending)
            self._failures += [f"{self._specs[n].label}: over its grace of {self._plan.run.grace:g} s" for n in late]
            self._ending.clear()

    def _check_opening(self) -> None:
        """Raises RunFailed if workers are not set up in time, Stopped if they can't be any more.

        A pool may have no place for them, and wait forever.
        """
        if not self._opening or self.trouble is not None:
            return
        limit = PLACING + max(spec.start_timeout for spec in self._specs)
        waited = monotonic() - self._opened_at
        if waited > self._ask_after:
            self._ask_after = waited + ASKING
            if why := self._pool.hopeless():
                raise Stopped(why)
        if waited > limit:
            late = ", ".join(sorted({self._specs[self._worker_of[ticket]].label for ticket in self._opening}))
            raise RunFailed(f"not set up within {limit:g} s: {late}; is there room for all workers at once?")

    def teardown_failures(self) -> list[str]:
        return self._failures

    def kill(self) -> None:
        self._pool.kill()

    def close(self) -> None:
        self._pool.close()
        self._selector.unregister(self._bell.fd)
        self._bell.close()
        self._page.close()
        os.close(self._metrics)
