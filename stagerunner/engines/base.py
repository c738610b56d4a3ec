"""What an engine is: it moves frames and reports deaths. Decisions are made elsewhere (window, evaluate, delivery)."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from stagerunner.engines.topology import Group
from stagerunner.plan import Plan
from stagerunner.records import WHOLE
from stagerunner.tuples import NamedTuple
from stagerunner.window.isolation import Culprit, Suspect
from stagerunner.window.splits import Sent
from stagerunner.wire.arena import Arena
from stagerunner.wire.frame import Frame, Header


class Trouble(Struct, frozen=True):
    """Why an epoch is lost: the root cause, as far as it is known.

    stage: the name of the group; worker: from 0; how: "SIGKILL", "exit status 3", or what was wrong.
    index: the first stage's index, -1 when no worker is the cause. split, origin, ordinal: the record in the call,
    -1 where that is unknown; first, last: the source records of the frame in hand. calls: if several records may have
    been in calls, all of them, as source records of frames (sequence, first, last). state: what the worker was doing,
    in words. overdue: it was alive, but over its time limit. blamed: the index of the source or sink, if one was at
    work.
    """

    stage: str
    worker: int
    pid: int
    how: str
    index: int = -1
    split: int = -1
    origin: int = -1
    ordinal: int = -1
    first: int = 0
    last: int = 0
    calls: tuple[tuple[int, int, int], ...] = ()
    state: str = ""
    overdue: bool = False
    blamed: int | None = None


OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
"""Signals that are sent to workers from outside."""


def culprit_of(trouble: Trouble, in_calls: Sequence[tuple[Sent, Suspect]] = ()) -> Culprit:
    """A trouble as poison isolation needs it. in_calls: who `trouble.calls` are, and their frames."""
    kind = "Killed" if not trouble.overdue else "Timeout" if "time" in trouble.how else "Memory"
    killed = f"the worker died twice with this record alone ({trouble.how})"
    message = f"over {trouble.how}" if trouble.overdue else killed
    if len(in_calls) == 1 and in_calls[0][1].last - in_calls[0][1].first == 1:
        sent, suspect = in_calls[0]
        return Culprit(trouble.index, suspect.split, sent.first, sent.last, suspect.first, WHOLE, kind, message)
    return Culprit(
        trouble.index if trouble.blamed is None else trouble.blamed,
        trouble.split,
        trouble.first,
        trouble.last,
        trouble.origin,
        trouble.ordinal,
        kind,
        message,
        tardy=kind == "Timeout" and trouble.split < 0,
        calls=tuple(suspect for _, suspect in in_calls),
        outside=trouble.how in OUTSIDE,
    )


class Ready(Struct, frozen=True):
    """Every worker has sent READY. errors: (group's first stage, worker, pid, text) of those whose setup failed."""

    pids: tuple[tuple[int, int, int], ...]
    errors: tuple[tuple[int, int, int, str], ...]


class Clock(NamedTuple):
    """The metrics of one stage in one worker: nanoseconds, and records in and out.

    cpu: CPU time of the whole worker, in the clock of its first stage; 0 where it isn't known. paused: how long the
    stage's calls had to wait for a `RetryLater`; pausing: how long they still have to. Both are the same in all its
    workers.
    """

    stage: int
    work: int
    codec: int
    wait: int
    block: int
    taken: int = 0
    out: int = 0
    cpu: int = 0
    paused: int = 0
    pausing: int = 0


class Transport(Protocol):
    """A running engine. It runs one epoch at a time: `start` kills what is left of the last one and begins the next."""

    arena: Arena | None
    """This epoch's arena; None where there is none."""
    groups: tuple[Group, ...]
    """Which stages share their workers."""
    cores: int
    """Processors that workers can run on at once."""
    ready: Ready | None
    """Set once every worker has sent READY."""
    trouble: Trouble | None
    """Set when the epoch is lost."""

    def start(self, epoch: int, snapshots: dict[int, Any]) -> None:
        """Begin an epoch. snapshots: by stage."""

    def regroup(self, groups: tuple[Group, ...]) -> None:
        """Use these groups from the next epoch on."""

    def send(self, header: Header, metadata: bytes, body: bytes) -> None:
        """Send a frame. Never waits."""

    def halt(self) -> None:
        """Let the stages cut their frames: slow ones at the next record, the first worker each frame that it has not
        begun. A cut frame says so (wire.frame.CUT). Safe in a signal handler."""

    def end(self, frames: int) -> None:
        """Send END. frames: how many were sent in this epoch."""

    def arrivals(self) -> Iterator[Frame]:
        """The frames that have come back since the last call, in order of their sequence."""

    @property
    def ended(self) -> bool:
        """END came back with nothing missing, and the workers are gone."""

    @property
    def busy(self) -> bool:
        """There is something to do at once: don't wait for events."""

    @property
    def works_ahead(self) -> bool:
        """Whether workers begin a frame while earlier ones are open, where a stage allows it."""

    def opened(self) -> int:
        """How many frames such workers have open: taken in, and not sent on."""

    def gathered(self, sequence: int) -> bool:
        """Whether the first stage whose workers work ahead has taken in all frames up to this sequence."""

    def stop_behind(self, sequence: int) -> None:
        """Let workers pass frames with later sequences on without calling their stages."""

    def holds(self, sequence: int) -> bool:
        """Whether this frame is the oldest one that such a worker has open."""

    def say_all_sent(self, sequence: int) -> None:
        """Tell the workers that nothing can follow this sequence for now; -1: more may come."""

    def begun(self) -> Sequence[int]:
        """The latest sequence that each worker of the widest group has begun, in this epoch."""

    def deadline(self) -> float | None:
        """Seconds until `look` has something to do, or None."""

    def look(self) -> None:
        """Check exits, deadlines and memory. May set `trouble`."""

    def clocks(self) -> list[Clock]:
        """The clocks of each worker and stage, earlier epochs included."""

    def teardown_failures(self) -> list[str]:
        """A line for each worker that failed while closing, after everything was delivered."""

    def kill(self) -> None:
        """Kill every worker and do nothing else. Safe in any thread: this process is about to end."""

    def close(self) -> None:
        """Kill and release everything."""


class Engine(Protocol):
    """What a plugin's engine is: a class with this name in its EngineSpec. Its keyword-only arguments are its options.

    It may also have `check(plan) -> Iterable[str | hookspecs.Problem]`: what can't work there, before anything is
    started.
    """

    name: str

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        """What moves the frames of one run. lines: called with what a worker has printed: stage, worker, bytes.
        hash_seed: the PYTHONHASHSEED of every worker."""
