"""`run.engine: process`: a process for each worker, forked by the fork server.

The worker pool is imported late: the fork server starts up meanwhile.
"""

from __future__ import annotations

import itertools
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


class ProcessEngine:
    """The engine that is meant: real processes, linked by pipes."""

    name = "process"

    def __init__(self) -> None:
        self._fork_server: ForkServerClient | None = None

    def begin(self, plan: Plan, hash_seed: str) -> None:
        """Have the fork server begin, if it hasn't; it takes its time, which the parent can use for other things."""
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
        """End the fork server, if no transport has taken it over."""
        if self._fork_server is not None:
            self._fork_server.close()
            self._fork_server = None


def _instructed(plan: Plan, hash_seed: str | None) -> ForkServerClient:
    """A fork server that knows what its workers will need of ours. Raises UsageError for more of them than there can
    be."""
    many = make_room([stage.settings.workers for stage in plan.stages] or [1])
    begun = fork_server(hash_seed)
    begun.preload(plan.our_modules)
    if many:
        begun.allow_descriptors(many)
    return begun


# Room for a run's descriptors


OURS = 64
"""Descriptors of a process besides: standard streams, source, sink, journal, and what plugins open."""

LITTLE = 128
"""What any process may have."""

HELD = 5
"""Descriptors of a worker besides its pipes: standard streams, metrics, arena."""


class Need(Struct, frozen=True):
    """Descriptors, at most, of the parent and of one worker."""

    parent: int
    worker: int


def need(widths: Sequence[int]) -> Need:
    """For groups of so many workers."""
    pipes = [lcm(*pair) for pair in itertools.pairwise([1, *widths, 1])]
    around = zip(widths, itertools.pairwise(pipes), strict=True)
    ends = [before // width + behind // width for width, (before, behind) in around]
    return Need(2 * sum(pipes) + 2 * sum(widths) + OURS, max(ends) + HELD + OURS)


def make_room(widths: Sequence[int]) -> int:
    """See to it that this process may have the descriptors it needs; how many one of its workers needs, if those are
    many. Raises UsageError when the system allows fewer."""
    needed = need(widths)
    if needed.parent <= LITTLE:
        return 0
    import resource  # few chains are as wide

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed.parent + _open()
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise UsageError(
            f"this chain's {sum(widths):,} workers need about {wanted:,} open files (pipes between them), and this "
            f"process may have {hard:,} at most; have fewer workers, or a higher limit (`ulimit -n`)"
        )
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return needed.worker if needed.worker > LITTLE else 0


def _open() -> int:
    """Descriptors that are open already."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return OURS
