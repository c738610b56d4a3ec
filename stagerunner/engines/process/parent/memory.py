"""What the system says: memory of a process, kills for lack of memory, processors we may use."""

from __future__ import annotations

import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
EVENTS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def resident(pid: int) -> int | None:
    """The resident bytes of a process; None if unknown."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError, ValueError):
        return None


def cores() -> int:
    """How many processors this process may run on; all, if the system doesn't say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory, on this machine and in our control group."""
    return sum(_count(path) for path in EVENTS)


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
