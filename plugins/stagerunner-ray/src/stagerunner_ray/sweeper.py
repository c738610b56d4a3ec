"""Waits for the end of its standard input, which is the end of the parent; then ends what is left of a local cluster.

Run with the folder of the cluster and the pid of the parent, which may go on without it. Imports next to nothing.
"""

import os
import shutil
import signal
import sys
import time

TRIES = 60
"""Looks for processes that are left: new ones may just have been started."""


def left(folder: str, spared: set[int]) -> list[int]:
    """The processes that belong to the folder, except these."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - it starts without pathlib
    return [pid for pid in pids if pid not in spared and belongs(pid, folder)]


def belongs(pid: int, folder: str) -> bool:
    """Whether its command line, environment or an open file names the folder. A process that gives itself a title
    overwrites the first two, and its log stays open."""
    for kind in ("cmdline", "environ"):
        try:
            with open(f"/proc/{pid}/{kind}", "rb") as file:
                if folder.encode() in file.read():
                    return True
        except OSError:
            return False  # another user's, or gone
    try:
        return any(names(f"/proc/{pid}/fd/{fd}", folder) for fd in os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    except OSError:
        return False


def names(link: str, folder: str) -> bool:
    """Whether the link leads into the folder."""
    try:
        return os.readlink(link).startswith(folder)  # noqa: PTH115
    except OSError:
        return False


def main() -> None:
    """Wait, then sweep."""
    folder, spared = sys.argv[1], {os.getpid(), int(sys.argv[2])}
    sys.stdin.buffer.read()
    for _ in range(TRIES):
        pids = left(folder, spared)
        if not pids:
            break
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


main()
