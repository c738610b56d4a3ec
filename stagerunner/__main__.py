"""The console entry. What takes longest is begun before anything else is imported."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""New objects after which garbage is looked for, as in workers."""
gc.set_threshold(YOUNG)  # before the imports, whose objects stay: by default 41 searches through them, 2 % of a `check`

import errno
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from stagerunner.cli import ENTRY, PRESTARTED, loaded

_OURS = os.getpid()

FAILED, REFUSED = 1, 75

LIMITS = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN)
"""What is refused now and may not be later."""

RESUMING = {"--resume", "--force-resume"}
"""With these a fork server has to wait: the journal says which hash seed it gets."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `arguments` are those behind the program's name."""
    try:
        if arguments is None:
            _hear_signals()
        return _begun(arguments)
    except (OSError, MemoryError, ImportError) as error:  # so early that nothing is here yet to tell of it
        if isinstance(error, ImportError) and (error.path or ".py").endswith(".py"):
            raise
        # A library that can't be mapped for want of memory comes as ImportError.
        why = f"error[stopped]: the system refused: {error if isinstance(error, OSError) else 'out of memory'}"
        os.write(2, f"{why}\n".encode(errors="backslashreplace"))
        return FAILED if isinstance(error, OSError) and error.errno not in LIMITS else REFUSED


def _hear_signals() -> None:
    """From the beginning, which takes a while: whoever is stopped says so. Those that are ignored stay ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stopped)


def _stopped(number: int, frame: FrameType | None) -> None:
    """Nothing is under way that would have to be ended. A fork of ours, made by a plugin, ends as it would without."""
    if os.getpid() != _OURS:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    with suppress(OSError):
        os.write(2, f"interrupted: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


def _begun(arguments: Sequence[str] | None) -> int:
    if arguments is None and sys.argv[1:2] == ["run"] and not RESUMING.intersection(sys.argv):
        with loaded(PRESTARTED)():
            return _called(None)
    return _called(arguments)


def _called(arguments: Sequence[str] | None) -> int:
    code: int = loaded(ENTRY)(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
