"""What a worker is told when it is started: plain data, sent by the parent through the fork server."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

from stagerunner.evaluate.ends import EndSpec
from stagerunner.evaluate.work import Work
from stagerunner.parts.files import register
from stagerunner.records import NOTHING
from stagerunner.tuples import NamedTuple


class SealedSpec(NamedTuple):
    """A spec on its way through the fork server. Options can be of types that a plugin's file defines; only the worker
    may import those, and only once it has its environment and knows which names stand for which files.
    """

    env: tuple[tuple[str, str], ...]
    files: dict[str, str]
    sealed: bytes

    @classmethod
    def of(cls, spec: WorkerSpec) -> SealedSpec:
        return cls(spec.env, spec.files, pickle.dumps(spec, 5))

    def opened(self) -> WorkerSpec:
        """In the worker. Raises what importing a plugin raises."""
        if self.env:  # else it would touch a page for nothing
            os.environ.update(dict(self.env))
        register(self.files)
        spec: WorkerSpec = pickle.loads(self.sealed)
        return spec


class WorkerSpec(NamedTuple):
    """One worker's whole instructions.

    number, width: which worker of its group it is, and how many there are; names: what it is called in messages.
    works: its stages, neighbours in the chain. inbound, outbound: the numbers of the workers on the other side, in
    the order of the descriptors handed over with this. upstream, downstream: how many workers there are on each side.
    source: what to read splits with (first group only). sink: what to encode with
    (last group only; None: records go back as they are). ends: the number of stages, the sink's index.
    owner: whose slots of the arena it writes to: the number of its group, from 1. owners: how many there are, the
    parent with them; 0 where there is no arena.
    slots: the numbers of its meter slots, one per stage, at least one. slot_count: how many the page has.
    snapshots: stage → what `restore` is given; under `ends`, the columns that the sink is to expect.
    limit: bytes of the largest frame. start_timeout: seconds for setup.
    max_memory: bytes a worker may hold.
    watch: a record is under suspicion: say at each call which one it is, and don't overlap frames.
    """

    epoch: int
    number: int
    width: int
    names: tuple[str, ...]
    works: tuple[Work, ...]
    inbound: tuple[int, ...]
    outbound: tuple[int, ...]
    upstream: int
    downstream: int
    slots: tuple[int, ...]
    slot_count: int
    ends: int
    owner: int = 1
    owners: int = 0
    first: bool = False
    last: bool = False
    source: EndSpec | None = None
    sink: EndSpec | None = None
    env: tuple[tuple[str, str], ...] = ()
    files: dict[str, str] = NOTHING
    started_hooks: tuple[str, ...] = ()
    stopping_hooks: tuple[str, ...] = ()
    snapshots: dict[int, Any] = NOTHING
    limit: int = 2**31
    start_timeout: float = 60.0
    max_memory: int | None = None
    watch: bool = False

    @property
    def growth(self) -> int:
        """Bytes that one source record may have become on leaving this worker."""
        return self.works[-1].growth if self.works else self.limit

    @property
    def label(self) -> str:
        """ "hide-people/2", or the stages' names joined by "+" for a fused group."""
        name = "+".join(self.names) or "copy"
        return f"{name}/{self.number + 1}" if self.width > 1 else name


# The source process


MOST = 1000
"""Records in one frame at most."""


class SourceSpec(NamedTuple):
    """Which source to run. linger: seconds a record may wait for others to share its frame."""

    target: str
    options: dict[str, Any]
    linger: float
    files: dict[str, str] = NOTHING
    records: int = MOST
    max_record: int = sys.maxsize
