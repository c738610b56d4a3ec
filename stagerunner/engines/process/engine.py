"""`run.engine: process`: one process for each worker, forked by the fork server."""

from __future__ import annotations

import itertools
import os
import selectors
from collections.abc import Callable, Sequence
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from stagerunner.engines.process.parent.fork_server import ForkServerClient
from stagerunner.engines.process.parent.prestart import fork_server
from stagerunner.errors import UsageError
from stagerunner.plan import Plan

if TYPE_CHECKING:
    from stagerunner.engines.base import Transport

COLUMNS = ("stagerunner.evaluate.arrow.calling",)
"""What the workers of a stage of record batches import besides the stage. It imports pyarrow's functions."""


class ProcessEngine:
    """The default engine: real processes, linked by pipes."""

    name = "process"

    def __init__(self) -> None:
        self._fork_server: ForkServerClient | None = None

    def begin(self, plan: Plan, hash_seed: str) -> None:
        """Start the fork server, or take the prestarted one. It starts up while the parent does other things."""
        self._fork_server = _instructed(plan, hash_seed)

    def transport(
        self,
        plan: Plan,
        selector: selectors.BaseSelector,
        lines: Callable[[str, int, bytes], None],
        hash_seed: str | None,
    ) -> Transport:
        # Late: the fork server has begun by now, and starts up while this is imported.
        from stagerunner.engines.process.parent.worker_pool import WorkerPool

        pool = WorkerPool(plan, selector, lines, hash_seed)
        begun, self._fork_server = self._fork_server, None
        try:
            pool.prepare(begun or _instructed(plan, hash_seed))
        except BaseException:
            pool.close()
            raise
        return pool

    def close(self) -> None:
        """End the fork server, unless a transport has taken it over."""
        if self._fork_server is not None:
            self._fork_server.close()
            self._fork_server = None


def _instructed(plan: Plan, hash_seed: str | None) -> ForkServerClient:
    """A fork server that imports what the workers will need. Raises UsageError for more workers than the system
    allows."""
    many = make_room([stage.settings.workers for stage in plan.stages] or [1], len(plan.sinks))
    begun = fork_server(hash_seed)
    begun.preload([*plan.our_modules, *(COLUMNS if any(stage.work.form.arrow for stage in plan.stages) else ())])
    if many:
        begun.allow_descriptors(many)
    return begun


# Open files


OURS = 64
"""Descriptors of a process besides pipes: standard streams, source, sink, journal, and what plugins open."""

EACH_SINK = 3
"""Descriptors of each further sink: its output, its journal, and SQLite's file beside that."""

LITTLE = 128
"""Descriptors that nearly every process may have."""

HELD = 5
"""Descriptors of a worker besides its pipes: standard streams, metrics, arena."""


class Need(Struct, frozen=True):
    """The most descriptors of the parent and of one worker."""

    parent: int
    worker: int


def need(widths: Sequence[int], sinks: int = 1) -> Need:
    """The need of groups with so many workers, and of so many sinks."""
    pipes = [lcm(*pair) for pair in itertools.pairwise([1, *widths, 1])]
    around = zip(widths, itertools.pairwise(pipes), strict=True)
    ends = [before // width + behind // width for width, (before, behind) in around]
    further = EACH_SINK * max(0, sinks - 1)
    return Need(2 * sum(pipes) + 2 * sum(widths) + further + OURS, max(ends) + HELD + OURS)


def make_room(widths: Sequence[int], sinks: int = 1) -> int:
    """Raise the limit on open files if necessary; how many a worker needs, or 0 if that is few. Raises UsageError if
    the system allows fewer."""
    needed = need(widths, sinks)
    little = _little()
    if needed.parent <= little:
        return 0
    import resource  # only wide chains need it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed.parent + _open()
    if hard != resource.RLIM_INFINITY and wanted > hard:
        surely = wanted if needed.parent > LITTLE else wanted - OURS
        if surely > hard:
            raise UsageError(_too_many(sum(widths), sinks, surely, hard))
        wanted = hard  # a small chain may do with it
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return needed.worker if needed.worker > little else 0


def _little() -> int:
    """LITTLE, or the limit on open files if that is lower."""
    soft = os.sysconf("SC_OPEN_MAX")
    return LITTLE if soft < 0 else min(LITTLE, soft)


def _too_many(workers: int, sinks: int, wanted: int, most: int) -> str:
    whose, less = "1 worker" if workers == 1 else f"{workers:,} workers", "workers"
    need = "needs" if workers == 1 else "need"
    if sinks > 1:
        whose, less, need = f"{whose} and {sinks:,} sinks", "workers or sinks", "need"
    return (
        f"this chain's {whose} {need} about {wanted:,} open files (pipes between workers, outputs), and this "
        f"process may have {most:,} at most; have fewer {less}, or a higher limit (`ulimit -n`)"
    )


def _open() -> int:
    """How many descriptors are open."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return OURS
