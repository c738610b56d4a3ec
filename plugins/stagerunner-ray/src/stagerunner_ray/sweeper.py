"""Waits for the end of its standard input, which is the end of the parent; then ends what is left of a local cluster.

Run with the folder that all processes of the cluster have in their command line or environment. Imports nothing else.
"""

import os
import shutil
import signal
import sys
import time

TRIES = 40
"""Looks for processes that are left; Ray's own end by themselves within a second or two."""


def left(folder: str) -> list[int]:
    """The processes that belong to the folder, except this one."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - it starts without pathlib
        if not name.isdigit() or int(name) == os.getpid():
            continue
        for kind in ("cmdline", "environ"):
            try:
                with open(f"/proc/{name}/{kind}", "rb") as file:
                    if folder.encode() in file.read():
                        found.append(int(name))
                        break
            except OSError:
                continue
    return found


def main() -> None:
    """Wait, then sweep."""
    folder = sys.argv[1]
    sys.stdin.buffer.read()
    for _ in range(TRIES):
        pids = left(folder)
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
