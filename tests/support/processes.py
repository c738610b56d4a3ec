"""What the system says of processes: which run, their children, their descriptors."""

from __future__ import annotations

import os
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs. One that has ended and waits to be reaped doesn't."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def asleep(pid: int) -> bool:
    """Whether the process sleeps, waiting for something."""
    return _stat(pid)[:1] == ["S"]


def children(parent: int | None = None) -> set[int]:
    """The direct children, those included that wait to be reaped.

    Not the tracker that multiprocessing starts for a pool of the tests' own and keeps until the end.
    """
    wanted = str(os.getpid() if parent is None else parent)
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid for pid in pids if _stat(pid)[1:2] == [wanted] and b"resource_tracker" not in _command(pid)}


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def descendants(parent: int) -> set[int]:
    """Children, their children, and so on."""
    found = children(parent)
    return found.union(*(descendants(child) for child in found))


def descriptors(pid: int | str = "self") -> dict[int, str]:
    """Descriptor → its target as the system names it ("pipe:[4711]")."""
    found = {}
    for pipe in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(pipe.name)] = os.readlink(pipe)
        except FileNotFoundError:
            continue  # the descriptor of this very listing
    return found


def _stat(pid: int) -> list[str]:
    """Its state, its parent's number, and more; nothing when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []
