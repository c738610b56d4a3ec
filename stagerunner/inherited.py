"""What a process inherits from its parent, or a plugin changes: signals, descriptors, folders. Nothing is trusted."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pathlib import Path

STANDARD = (0, 1, 2)

PR_SET_PDEATHSIG = 1

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a run to stop."""


def restore_signals() -> None:
    """Unblock all signals and restore SIGCHLD: else the death of a worker would go unnoticed.

    SIGINT and SIGHUP stay ignored if they are: `nohup` and the background jobs of a shell depend on it.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def raise_at_interrupt() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, unless it is ignored.

    Never before all plugins are imported: raised in the import of a native library, it can abort the process.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def signal_at_parents_end(number: int) -> None:
    """Ask the kernel for this signal when the parent ends (Linux only; elsewhere the end of a pipe says so).

    The kernel also sends it when the thread ends that started this process.
    """
    if sys.platform.startswith("linux"):
        _libc().prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


@cache
def _libc() -> Any:
    import ctypes  # late: the parent doesn't need it, and it takes 2 ms

    return ctypes.CDLL(None)


def fill_standard() -> None:
    """Open /dev/null for each standard descriptor that is closed: else the next pipe or file would take its number, and
    get what is printed."""
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            # `open` gives the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)


output = 1
"""The descriptor for data: standard output, or its copy since `part_output`."""


def is_refusal(error: BaseException | None) -> bool:
    """Whether the system refused something. A library that does not fit in memory raises ImportError."""
    if isinstance(error, ImportError):
        return error.path is not None and not error.path.endswith(".py")
    return isinstance(error, OSError | MemoryError)


def data_descriptor(number: int | None) -> int | None:
    """The descriptor to write data for this one to."""
    return output if number == 1 else number


FAR = 200


class Closed(io.TextIOBase):
    """Standard output that was closed when the process started: writing raises an error, so that nothing is lost."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


def part_output() -> TextIO | None:
    """Keep standard output for data: what is printed to descriptor 1, also by a plugin's child processes, goes to
    standard error. Gives a private stream to standard error, which no plugin can close.
    """
    global output
    fill_standard()
    errors = None if sys.stderr is None else _second(sys.stderr, 2)
    if sys.stdout is None:
        sys.stdout = Closed()
    else:
        sys.stdout.flush()
        sys.stdout = _second(sys.stdout, 1)
        output = sys.stdout.fileno()
    os.dup2(2, 1)
    return errors


def join_output() -> None:
    """Undo `part_output`: descriptor 1 is standard output."""
    os.dup2(output, 1)


def _second(stream: TextIO, number: int) -> TextIO:
    """A stream like this one to the same file, with a descriptor of its own that no child process inherits."""
    buffering = 1 if getattr(stream, "line_buffering", False) else -1
    own = _far(number)
    return open(own, "w", buffering, encoding=stream.encoding, errors=stream.errors, closefd=False)


def _far(number: int) -> int:
    """A copy of a descriptor with a high number: if a plugin closes descriptors, no new file takes its place."""
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FAR)
    except OSError:  # the limit on open files is lower
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)


def here() -> Path:
    """The working folder. If it was removed, an empty path: relative paths lead nowhere, absolute ones still work."""
    from pathlib import Path  # most workers never need it

    return Path(working_folder() or "")


@contextmanager
def environment_kept() -> Iterator[None]:
    """Restore the environment variables at the end."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def kept() -> Iterator[None]:
    """Undo what plugin code changes in here and a run depends on.

    That is: the working folder, handlers of signals that stop a run, the file mode mask, the standard streams, the
    recursion limit. Changes of the environment and of `sys.path` are meant for workers too, and stay.
    """
    folder, mask = working_folder(), os.umask(0)
    os.umask(mask)
    handlers = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGCHLD)}
    streams, deep = (sys.stdin, sys.stdout, sys.stderr), sys.getrecursionlimit()
    try:
        yield
    finally:
        os.umask(mask)
        sys.stdin, sys.stdout, sys.stderr = streams
        if sys.getrecursionlimit() < deep:
            sys.setrecursionlimit(deep)
        _go_back(folder)
        _listen_again(handlers)


def working_folder() -> str | None:
    """The path of the working folder; None if it was removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - a path would have to be made
    except OSError:
        return None


def _go_back(folder: str | None) -> None:
    if folder is not None and working_folder() != folder:
        with suppress(OSError):
            os.chdir(folder)


def _listen_again(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, before in handlers.items():
        # None: the handler was not set by Python. Only the main thread may set handlers.
        if before is not None and signal.getsignal(number) is not before:
            with suppress(ValueError):
                signal.signal(number, before)
