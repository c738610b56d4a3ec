"""Points at which a test can kill this process, to prove that nothing is lost there. Off by default.

`STAGERUNNER_KILL_AT=name:n` kills the process with SIGKILL when it reaches the point `name` for the n-th time.
`STAGERUNNER_KILL_LOG=path` writes the name to a new file first, so that a test sees whether the point was reached. If
the file exists already, no process is killed: only one of a run's workers and their successors dies.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "accept",
    "deliver",
    "one of two",
    "sink written",
    "commit",
    "barrier",
    "halving",
    "quarantine",
    "finishing",
    "one of several",
    "rename",
    "resume",
    "restart",
    "regroup",
    "torn frame",
    "flush",
)

asked, _, _count = os.environ.get("STAGERUNNER_KILL_AT", "").partition(":")
"""The name of the point to die at; usually empty."""
_left = int(_count or 1)


def reached(name: str) -> bool:
    """Whether to die now. Writes the log."""
    global _left
    if name != asked:
        return False
    _left -= 1
    return _left == 0 and _logged(name)


def _logged(name: str) -> bool:
    """Whether this is the first death, by the log; True without a log."""
    path = os.environ.get("STAGERUNNER_KILL_LOG")
    if path is None:
        return True
    try:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    os.write(log, f"{name}\n".encode())
    os.close(log)
    return True


def point(name: str) -> None:
    """Die here, if the environment asks for it."""
    if asked and reached(name):
        die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
