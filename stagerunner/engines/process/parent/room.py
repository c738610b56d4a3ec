"""Room for a run's descriptors: how many it needs, and whether this process may have them.

Each link is a pipe, and each worker prints to one. Both ends of all of them are open here until the workers have
theirs, so what is needed is known beforehand, and a run that can't have it is refused before anything is touched.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import lcm
from pathlib import Path

from msgspec import Struct

from stagerunner.errors import UsageError

OURS = 64
"""Descriptors of a process besides: standard streams, source, sink, journal, and what plugins open."""

LITTLE = 128
"""What any process may have."""

HELD = 5
"""Descriptors of a worker besides its links: standard streams, meters, lane."""


class Need(Struct, frozen=True):
    """Descriptors, at most, of the parent and of one worker."""

    parent: int
    worker: int


def need(widths: Sequence[int]) -> Need:
    """For groups of so many workers."""
    links = [lcm(*pair) for pair in itertools.pairwise([1, *widths, 1])]
    around = zip(widths, itertools.pairwise(links), strict=True)
    ends = [before // width + behind // width for width, (before, behind) in around]
    return Need(2 * sum(links) + 2 * sum(widths) + OURS, max(ends) + HELD + OURS)


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
