"""What an engine has to do: move frames. All decisions are taken elsewhere (window, evaluate, delivery)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from msgspec import Struct

from stagerunner.engines.topology import Group
from stagerunner.tuples import NamedTuple
from stagerunner.wire.arena import Arena
from stagerunner.wire.frame import Frame, Header


class Trouble(Struct, frozen=True):
    """Why an epoch is lost: the first death, as far as it can be told.

    stage: the name of the group; worker: from 0; how: "SIGKILL", "exit status 3", or what was wrong.
    index: the first stage's index, -1 when no worker is to blame. split, origin, ordinal: the record the worker was
    at, -1 where that isn't known; first, last: the source records it had in hand. state: what it was doing, in words.
    overdue: it was not dead, but over its time limit. blamed: the source or sink, where one was at work.
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
    state: str = ""
    overdue: bool = False
    blamed: int | None = None


class Ready(Struct, frozen=True):
    """All workers are set up. errors: (group's first stage, worker, pid, text) of those that are not."""

    pids: tuple[tuple[int, int, int], ...]
    errors: tuple[tuple[int, int, int, str], ...]


class Clock(NamedTuple):
    """The metrics of one stage in one worker: nanoseconds, and the records it has taken and given."""

    stage: int
    work: int
    codec: int
    wait: int
    block: int
    taken: int = 0
    out: int = 0


class Transport(Protocol):
    """An engine at work. One epoch at a time: `start` begins one, killing what is left of the one before."""

    arena: Arena | None
    """This epoch's arena, where there is one."""
    groups: tuple[Group, ...]
    """Which stages share their workers."""
    cores: int
    """Processors that workers can be on at once."""
    ready: Ready | None
    """Set once every worker has spoken."""
    trouble: Trouble | None
    """The epoch is lost."""

    def start(self, epoch: int, snapshots: dict[int, Any], *, careful: bool = False) -> None:
        """Begin an epoch. careful: a record is under suspicion; a death must be laid to one frame."""

    def regroup(self, groups: tuple[Group, ...]) -> None:
        """From the next epoch on the stages share their workers like this."""

    def send(self, header: Header, metadata: bytes, body: bytes) -> None:
        """Send a frame on its way; never waits."""

    def end(self, frames: int) -> None:
        """Send END: so many frames were sent in this epoch."""

    def arrivals(self) -> Iterator[Frame]:
        """The frames that have come back since, in order of their sequence."""

    @property
    def ended(self) -> bool:
        """END has come back, with nothing missing, and the workers are gone."""

    @property
    def busy(self) -> bool:
        """There is work to do at once: don't wait for descriptors."""

    def begun(self) -> Sequence[int]:
        """The latest sequence that each worker of the widest group has begun in this epoch."""

    def deadline(self) -> float | None:
        """Seconds until something has to be looked at, or None."""

    def look(self) -> None:
        """Look at clocks and deadlines; may set `trouble`."""

    def clocks(self) -> list[Clock]:
        """What the metrics of this epoch's workers say, those of earlier epochs included."""

    def teardown_failures(self) -> list[str]:
        """Workers that failed while closing, after everything had been delivered."""

    def kill(self) -> None:
        """Kill every worker, from whatever thread, and do nothing else: this process is about to end."""

    def close(self) -> None:
        """Kill and release everything."""
