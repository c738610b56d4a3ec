"""Points at which a test may have this process killed, to prove that nothing is lost there. Off unless asked for.

`STAGERUNNER_KILL_AT=name:n` kills the process with SIGKILL when it reaches the point `name` for the n-th time;
`STAGERUNNER_KILL_LOG=path` has the name written to a new file before, so that a point that is never reached shows.
Where that file exists nobody dies any more: of a run's workers, and of those that take their places, one does.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "accept",
    "deliver",
    "sink written",
    "commit",
    "barrier",
    "halving",
    "quarantine",
    "finishing",
    "rename",
    "resume",
    "restart",
    "regroup",
    "torn frame",
    "flush",
)

asked, _, _count = os.environ.get("STAGERUNNER_KILL_AT", "").partition(":")
"""The point's name; empty as a rule."""
_left = int(_count or 1)


def reached(name: str) -> bool:
    """Whether this is the moment to die; the log says so."""
    global _left
    if name != asked:
        return False
    _left -= 1
    return _left == 0 and _logged(name)


def _logged(name: str) -> bool:
    """Whether this death is the first, as far as there is a log."""
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
    """Die here, if that is asked for."""
    if asked and reached(name):
        die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
