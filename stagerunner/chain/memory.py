"""How much memory a process has, and whether the kernel has killed for want of it. Nothing is known but on Linux."""

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


def oom_kills() -> int:
    """How often the kernel has killed a process for want of memory, here and in our control group."""
    return sum(_count(path) for path in EVENTS)


def _count(path: Path) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
