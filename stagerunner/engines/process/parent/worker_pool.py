"""The process engine's transport: a pool of workers, one epoch at a time.

The parent writes to the first group and reads what the last group returns. It holds frames that come out of turn, up to
the window's bytes; beyond that it reads only the pipe whose turn it is. It never blocks: every pipe is non-blocking.
"""

from __future__ import annotations

import itertools
import os
import selectors
from collections.abc import Collection, Iterator, Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

from msgspec import Struct, field

from stagerunner.engines.base import Clock, Ready, Trouble
from stagerunner.engines.process.parent.fork_server import Ended, ForkServerClient
from stagerunner.engines.process.parent.fork_servers import OURS, ForkServers
from stagerunner.engines.process.parent.health import Health
from stagerunner.engines.process.parent.memory import cores
from stagerunner.engines.process.parent.printed import OnPrinted, Printed
from stagerunner.engines.process.parent.returns import Returns
from stagerunner.engines.process.parent.root_cause import is_cause, root_cause
from stagerunner.engines.slots import gathered
from stagerunner.engines.topology import Group, grouped, pairs, places_of, slots_of, specs
from stagerunner.plan import Plan, fusible
from stagerunner.records import END, READY
from stagerunner.wire.arena import Arena
from stagerunner.wire.arena import create as create_arena
from stagerunner.wire.frame import BadFrame, Frame, Header
from stagerunner.wire.messages import close_all
from stagerunner.wire.metrics import MetricsPage, create
from stagerunner.wire.pipe import Inbound, Outbound, widen
from stagerunner.wire.spec import SealedSpec, WorkerSpec

PATIENCE = 0.5
"""Seconds to wait, after a pipe broke, for the fork server to report which worker died and how."""

TIES = 0.02
"""Seconds to wait, once a cause is known, for deaths that may have come before it."""

REAPING = 1.0
"""Seconds to wait for killed workers to end. New pipes make a stuck one harmless."""


class WorkerPool:
    """The workers of one run, seen from the parent."""

    def __init__(self, plan: Plan, selector: selectors.BaseSelector, lines: OnPrinted, hash_seed: str | None) -> None:
        self._plan = plan
        self._selector = selector
        self.groups: tuple[Group, ...] = grouped(plan, fusible(plan))
        self.cores = cores()
        self._metrics = create(slots_of(self.groups), places_of(plan))
        self._page = MetricsPage(self._metrics, slots_of(self.groups), places_of(plan))
        self._health = Health(self._page)
        self._fork_servers = ForkServers(selector, self._read_exits, hash_seed, plan.our_packages)
        self._specs: dict[int, WorkerSpec] = {}
        self._deaths: list[Ended] = []
        self._printed = Printed(selector, lines)
        self._pipes: list[Connection] = []
        self._heads: list[Outbound] = []
        self._pumped: set[int] = set()
        self._returns = Returns([], selector, 0)
        self._epoch = 0
        self._identity = 0
        self._broken: tuple[float, str] | None = None
        self._end_sent = False
        self._closing = Closing(plan.run.grace)
        self.arena: Arena | None = None
        self.ready: Ready | None = None
        self.trouble: Trouble | None = None

    # Starting an epoch

    def prepare(self, fork_server: ForkServerClient) -> None:
        """Take over a running fork server."""
        self._fork_servers.take(OURS, fork_server)
        self._fork_servers.require(self._executables())

    def _executables(self) -> set[str]:
        """The Pythons that workers run in."""
        return {group.executable for group in self.groups}

    def start(self, epoch: int, snapshots: dict[int, Any]) -> None:
        self._drop_epoch()
        self._new_arena()
        self._epoch, self.ready, self.trouble, self._broken = epoch, None, None, None
        self._end_sent = False
        self._closing.begin()
        self._deaths.clear()
        self._page.clear()
        self._health.begin()
        self._fork_servers.require(self._executables())
        owners = 0 if self.arena is None else self.arena.owners
        self._start_all(specs(self._plan, self.groups, epoch, snapshots, owners=owners))
        for head in self._heads:
            self._put(head, Header(READY, 0, epoch, 0))

    def regroup(self, groups: tuple[Group, ...]) -> None:
        if self.ended:
            self._closing.keep(self._specs, self._deaths)
        self.groups = groups

    def _new_arena(self) -> None:
        """Make a new arena for each epoch: a worker that is not reaped yet may still write to the old one."""
        owners = len(self.groups) + 1
        fd = create_arena(owners)
        self.arena = None if fd is None else Arena(fd, owners)

    def _start_all(self, specs: Iterator[WorkerSpec]) -> None:
        """Make the pipes, and start each worker with its ends. They are closed here once it has them."""
        wiring = wire([1, *(group.width for group in self.groups), 1])
        self._open_ours(wiring)
        self._specs = {}
        for spec in specs:
            position = spec.owner - 1
            self._identity += 1
            self._specs[self._identity] = spec
            ins = [wiring.reading[position, u, spec.number] for u in spec.inbound]
            outs = [wiring.writing[position, spec.number, d] for d in spec.outbound]
            self._start_worker(spec, ins, outs)
        self._fork_servers.watch()

    def _start_worker(self, spec: WorkerSpec, ins: list[Connection], outs: list[Connection]) -> None:
        executable = self.groups[spec.owner - 1].executable
        hearing, end = os.pipe()
        printing = Connection(end, readable=False)
        self._printed.watch(hearing, "+".join(spec.names) or "copy", spec.number)
        arena = [] if self.arena is None else [self.arena.fd]
        others = [*arena, self._metrics, printing.fileno()]
        reading, writing = ([end.fileno() for end in ends] for ends in (ins, outs))
        try:
            sealed, owned = SealedSpec.of(spec), [*ins, *outs, printing]
            self._fork_servers.fork(executable, self._identity, sealed, reading, writing, others, owned)
        except BrokenPipeError:
            self._break("the fork server has ended", patience=0)

    def _open_ours(self, wiring: Wiring) -> None:
        """Take our ends of the pipes: to the first group, and from the last group."""
        self._pipes = [*wiring.heads, *wiring.returns]
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._heads = [Outbound(pipe.fileno()) for pipe in wiring.heads]
        limit = 2 * self._plan.run.max_growth + 2**26
        back = [Inbound(pipe.fileno(), limit) for pipe in wiring.returns]
        self._returns = Returns(back, self._selector, self._plan.run.window)

    # Frames

    def send(self, header: Header, metadata: bytes, body: bytes) -> None:
        self._put(self._heads[header.sequence % len(self._heads)], header, metadata, body)

    def halt(self) -> None:
        self._page.halt()

    def end(self, frames: int) -> None:
        self._end_sent = True
        for head in self._heads:
            self._put(head, Header(END, 0, self._epoch, frames))

    def _put(self, head: Outbound, header: Header, *payload: bytes) -> None:
        try:
            head.put(header, *payload)
        except OSError as error:
            self._break(f"a pipe broke: {error.strerror}")
            return
        if head.queued and head.fd not in self._pumped:
            self._pumped.add(head.fd)
            self._selector.register(head.fd, selectors.EVENT_WRITE, lambda: self._pump(head))

    def _pump(self, head: Outbound) -> None:
        try:
            head.pump()
        except OSError as error:
            self._unpump(head.fd)
            self._break(f"a pipe broke: {error.strerror}")
            return
        if not head.queued:
            self._unpump(head.fd)

    def _unpump(self, fd: int) -> None:
        self._pumped.discard(fd)
        self._selector.unregister(fd)

    def arrivals(self) -> Iterator[Frame]:
        returns = self._returns
        try:
            if self.ready is None:
                self._read_ready()
            if self.ready is not None and not self.ready.errors:
                yield from returns.frames(self._epoch)
        except BadFrame as fault:
            self._break(f"protocol fault: {fault}")
        if returns.broken and not returns.ended:
            self._break("a worker left without END")

    @property
    def ended(self) -> bool:
        """END is back, and every worker has exited, or the fork server that reports exits is gone."""
        return self._returns.ended and (len(self._deaths) >= len(self._specs) or self._fork_servers.gone)

    def _read_ready(self) -> None:
        lines = self._returns.ready_lines()
        if lines is not None:
            pids = tuple((stage, worker, pid) for stage, worker, pid, _ in lines)
            self.ready = Ready(pids, tuple(line for line in lines if line[3]))

    # Deaths

    def _read_exits(self) -> None:
        self._deaths += [death for death in self._fork_servers.exits() if death.identity in self._specs]
        self._fork_servers.check()
        self._fork_servers.watch()
        if self._fork_servers.gone:
            self._break("the fork server has ended", patience=0)
        if any(not self._end_sent or self._is_cause(death) for death in self._deaths) and not self._returns.ended:
            self._break("a worker has ended")
            self._wait_less()

    def _break(self, why: str, patience: float = PATIENCE) -> None:
        if self._broken is None:
            self._broken = (monotonic() + patience, why)

    def teardown_failures(self) -> list[str]:
        return self._closing.failures(self._specs, self._deaths)

    def _is_cause(self, death: Ended) -> bool:
        return is_cause(death, self._specs[death.identity], self._page)

    def _wait_less(self) -> None:
        """Once a cause is known, wait only for deaths at the same moment."""
        if self._broken and any(map(self._is_cause, self._deaths)):
            until, why = self._broken
            self._broken = (min(until, monotonic() + TIES), why)

    @property
    def busy(self) -> bool:
        return self._returns.turn_is_here()

    works_ahead = True

    def opened(self) -> int:
        return self._page.opened()

    def gathered(self, sequence: int) -> bool:
        return gathered(self._specs.values(), self._page, sequence)

    def stop_behind(self, sequence: int) -> None:
        self._page.stop_behind(sequence)

    def holds(self, sequence: int) -> bool:
        return self._page.holds(sequence)

    def say_all_sent(self, sequence: int) -> None:
        self._page.say_all_sent(sequence)

    def begun(self) -> list[int]:
        return self._health.begun(self._specs)

    def deadline(self) -> float | None:
        if self._broken is None:
            return None
        return max(0.0, self._broken[0] - monotonic())

    def look(self) -> None:
        if self.trouble is not None or self.ended:
            return
        if self._returns.ended or self._broken is not None:
            self._read_exits()  # first, so that a slow caller does not make a worker look late
        if self._returns.ended:
            if self._closing.overdue(self._specs, self._deaths):
                self._fork_servers.kill_workers()
            return
        if self._broken is not None:
            if len(self._deaths) >= len(self._specs) or monotonic() >= self._broken[0]:
                self.trouble = self._health.named(root_cause(self._deaths, self._specs, self._page, self._broken[1]))
            return
        if monotonic() >= self._health.glance:
            self.trouble = self._health.look(self._specs, self._fork_servers.pids)

    def clocks(self) -> list[Clock]:
        return self._health.clocks(self._specs)

    # Ending an epoch

    def _drop_epoch(self) -> None:
        self._fork_servers.end_workers(REAPING)
        self._returns.close()
        for fd in list(self._pumped):
            self._unpump(fd)
        close_all(self._pipes)
        self._printed.close()
        self._pipes, self._heads, self._specs = [], [], {}
        if self.arena is not None:
            self.arena.close()
            self.arena = None

    def kill(self) -> None:
        self._fork_servers.kill_workers()

    def close(self) -> None:
        self._drop_epoch()
        self._fork_servers.close()
        self._page.close()
        os.close(self._metrics)


# Closing workers


LEAST_GRACE = 1.0
"""Seconds that workers get to close at least, even if the run is stopped with less grace."""


class Closing:
    """Workers that fail while closing, or are late. specs: identity → spec of all workers; deaths: so far."""

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._patience = max(LEAST_GRACE, grace)
        self._since = 0.0
        self._late: list[str] = []
        self._before: list[str] = []

    def begin(self) -> None:
        """An epoch begins."""
        self._since = 0.0

    def overdue(self, specs: Mapping[int, WorkerSpec], deaths: Collection[Ended]) -> bool:
        """Whether to kill the workers that are left now. The first call starts their time."""
        self._since = self._since or monotonic()
        gone = {death.identity for death in deaths}
        left = [spec.label for identity, spec in specs.items() if identity not in gone]
        if not left or self._late or monotonic() - self._since <= self._patience:
            return False
        self._late = left
        return True

    def failures(self, specs: Mapping[int, WorkerSpec], deaths: Sequence[Ended]) -> list[str]:
        """A line for each worker that was late, or failed after END because its `close` or a stopping hook raised."""
        failed = [f"{specs[death.identity].label}: {death.how}" for death in deaths if death.status > 0]
        return [*self._before, *failed, *(f"{label}: over its grace of {self.grace:g} s" for label in self._late)]

    def keep(self, specs: Mapping[int, WorkerSpec], deaths: Sequence[Ended]) -> None:
        """Keep the failures of these workers; new ones take their place."""
        self._before, self._late = self.failures(specs, deaths), []


# Pipes


Key = tuple[int, int, int]
"""(group, writing worker, reading worker). The group is the one that has the end; -1 for the parent's writing end."""


class Wiring(Struct):
    """All ends. reading, writing: by Key. heads, returns: the parent's ends. theirs: the workers' ends."""

    reading: dict[Key, Connection] = field(default_factory=dict)
    writing: dict[Key, Connection] = field(default_factory=dict)
    heads: list[Connection] = field(default_factory=list)
    returns: list[Connection] = field(default_factory=list)
    theirs: list[Connection] = field(default_factory=list)


def wire(widths: list[int]) -> Wiring:
    """Pipes between groups of these widths; the parent, of width 1, stands first and last."""
    wiring = Wiring()
    for position, (upstream, downstream) in enumerate(itertools.pairwise(widths)):
        for up, down in pairs(upstream, downstream):
            _pipe(wiring, (position, up, down), first=position == 0, last=position == len(widths) - 2)
    return wiring


def _pipe(wiring: Wiring, key: Key, *, first: bool, last: bool) -> None:
    position, up, down = key
    reader, writer = Pipe(duplex=last)
    wiring.reading[key], wiring.writing[position - 1, up, down] = reader, writer
    if not last:
        widen(writer.fileno())
    (wiring.returns if last else wiring.theirs).append(reader)
    (wiring.heads if first else wiring.theirs).append(writer)
