"""The console entry. It starts what takes longest, the fork server of `run`, before it imports anything else."""

from __future__ import annotations

import gc

GC_THRESHOLD = 10_000
"""New objects between two garbage collections, as in workers."""
gc.set_threshold(GC_THRESHOLD)  # before the imports: by default they cost 41 collections, 2 % of a `check`

import errno
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

_OURS = os.getpid()

FAILED, REFUSED = 1, 75

LIMITS = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN)
"""Refusals that may be over later."""

RESUMING = {"--resume", "--force-resume"}
"""With these the fork server can't start first: its hash seed is in the journal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    arguments: those behind the program's name; None takes them from `sys.argv` and handles signals.
    """
    try:
        if arguments is None:
            _handle_signals()
        return _begin(arguments)
    except (OSError, MemoryError, ImportError) as error:  # the modules that report errors may not be loaded yet
        if isinstance(error, ImportError) and (error.path or ".py").endswith(".py"):
            raise
        # A library that can't be mapped because memory is short raises ImportError.
        why = f"error[stopped]: the system refused: {error if isinstance(error, OSError) else 'out of memory'}"
        os.write(2, f"{why}\n".encode(errors="backslashreplace"))
        return FAILED if isinstance(error, OSError) and error.errno not in LIMITS else REFUSED


def _handle_signals() -> None:
    """A stop during the imports is reported too. Ignored signals stay ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stopped)


def _stopped(number: int, frame: FrameType | None) -> None:
    """Report the signal and exit: nothing has started that needs an orderly end.

    A process that a plugin forked from ours dies of the signal as usual.
    """
    if os.getpid() != _OURS:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    with suppress(OSError):
        os.write(2, f"interrupted: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)


def _begin(arguments: Sequence[str] | None) -> int:
    """For `run`, start the fork server first: it comes up while this process imports the rest."""
    if arguments is None and sys.argv[1:2] == ["run"] and not RESUMING.intersection(sys.argv):
        from stagerunner.engines.process.parent.prestart import prestarted_fork_server  # only `run` needs one

        with prestarted_fork_server():
            return _enter(arguments)
    return _enter(arguments)


def _enter(arguments: Sequence[str] | None) -> int:
    from stagerunner.cli.entry import main  # imports click: after the fork server has started, within main's `try`

    return main(arguments)


if __name__ == "__main__":
    sys.exit(main())
