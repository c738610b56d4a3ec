"""Worker specs: what a worker needs to know when it starts, as plain data from the parent through the fork server."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

from stagerunner.evaluate.work import EndSpec, Work
from stagerunner.interpreters import know_other_names
from stagerunner.parts.files import register
from stagerunner.records import NOTHING
from stagerunner.tuples import NamedTuple


class SealedSpec(NamedTuple):
    """A pickled WorkerSpec, for the way through the fork server.

    Options may be of types that a plugin defines. Only the worker may import plugins, and only after its environment is
    set and it knows which module names stand for which files.
    """

    env: tuple[tuple[str, str], ...]
    files: dict[str, str]
    mixed: bool
    sealed: bytes

    @classmethod
    def of(cls, spec: WorkerSpec) -> SealedSpec:
        return cls(spec.env, spec.files, spec.mixed, pickle.dumps(spec, 5))

    def opened(self) -> WorkerSpec:
        """The WorkerSpec; call this in the worker. Sets the environment. Raises whatever importing a plugin raises."""
        if self.env:  # else a page of memory would be copied for nothing
            os.environ.update(dict(self.env))
        register(self.files)
        if self.mixed:
            know_other_names()
        spec: WorkerSpec = pickle.loads(self.sealed)
        return spec


class WorkerSpec(NamedTuple):
    """Everything one worker needs to know.

    number, width: its number in its group, from 0, and the group's size. names: of its stages, for messages.
    works: its stages, neighbours in the chain. inbound, outbound: the numbers of the workers at the other ends of its
    pipes, in the order of the descriptors sent with the spec. upstream, downstream: how many workers each side has.
    source: what reads splits (first group only). sinks: what encodes (last group only; none: records are sent back as
    they are). ends: the number of stages, which is the first sink's index.
    owner: whose segments of the arena it writes to: the number of its group, from 1. owners: how many there are, the
    parent included; 0 without an arena.
    slots: its slots on the metrics page, one per stage, at least one. slot_count, places: how many the page has, and
    how many calls each can note.
    mixed: the chain's workers run in several Pythons.
    snapshots: stage → what its `restore` gets; from `ends` on, the columns that a sink must expect.
    limit: bytes of the largest frame. share: bytes of results that may wait in the worker behind a slow frame.
    start_timeout: seconds for setup. max_memory: bytes a worker may hold.
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
    places: int = 1
    owner: int = 1
    owners: int = 0
    first: bool = False
    last: bool = False
    source: EndSpec | None = None
    sinks: tuple[EndSpec, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    files: dict[str, str] = NOTHING
    mixed: bool = False
    started_hooks: tuple[str, ...] = ()
    stopping_hooks: tuple[str, ...] = ()
    snapshots: dict[int, Any] = NOTHING
    limit: int = 2**31
    share: int = 2**26
    start_timeout: float = 60.0
    max_memory: int | None = None

    @property
    def branches(self) -> bool:
        """Whether each sink is asked for every record: there are several, or the one has a condition."""
        return len(self.sinks) > 1 or any(sink.when for sink in self.sinks)

    @property
    def growth(self) -> int:
        """Bytes that one source record may have become when it leaves this worker."""
        return self.works[-1].growth if self.works else self.limit

    @property
    def works_ahead(self) -> bool:
        """Whether the worker begins a frame while earlier ones are open. Such a stage shares no worker."""
        return len(self.works) == 1 and self.works[0].works_ahead

    @property
    def label(self) -> str:
        """ "hide-people/2", or the stages' names joined by "+" for a fused group."""
        name = "+".join(self.names) or "copy"
        return f"{name}/{self.number + 1}" if self.width > 1 else name


# The source process


ASKED = 4
"""Bytes of a number on the life pipe: it asks for a frame with so many records at most."""


class SourceSpec(NamedTuple):
    """A source for the source process. linger: seconds a record may wait for others to share its frame.

    marks: it is a resumable stream, and goes on behind `after`; None: it starts at its beginning.
    """

    target: str
    options: dict[str, Any]
    linger: float
    files: dict[str, str] = NOTHING
    max_record: int = sys.maxsize
    marks: bool = False
    after: Any = None
