"""How much memory a process has, whether the kernel has killed for want of it, and how many processors we may use."""

from __future__ import annotations

import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
EVENTS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def resident(pid: int) -> int | None:
    """Bytes of a process that are in memory; None when that can't be told."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return None


def cores() -> int:
    """Processors this process may run on; all there are where the system doesn't tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def oom_kills() -> int:
    """How often the kernel has killed a process for want of memory, here and in our control group."""
    return sum(_count(path) for path in EVENTS)


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
