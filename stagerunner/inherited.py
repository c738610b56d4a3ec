"""What a process inherits from whoever started it, or from a plugin: it is set right here, and not trusted."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pathlib import Path

STANDARD = (0, 1, 2)

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a run to stop."""


def restore_signals() -> None:
    """Block none, and don't ignore the end of children: with either of them nobody would hear that a worker died.

    Ctrl-C is an exception from here on. SIGINT and SIGHUP stay ignored where they are: that is how `nohup` and a
    shell's background jobs work.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on somebody tells of it


def fill_standard() -> None:
    """Open /dev/null for each standard descriptor that is closed: else the next pipe or file would become it, and get
    what somebody prints."""
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)


output = 1
"""The descriptor that data goes to: standard output, or what has stood for it since `part_output`."""


def is_refusal(error: BaseException | None) -> bool:
    """Whether the system refused something; a library that can't be mapped for want of memory comes as ImportError."""
    if isinstance(error, ImportError):
        return error.path is not None and not error.path.endswith(".py")
    return isinstance(error, OSError | MemoryError)


def data_descriptor(number: int | None) -> int | None:
    """The descriptor that data for this one goes to."""
    return output if number == 1 else number


FAR = 200


class Closed(io.TextIOBase):
    """Standard output that was closed before we began: what is to be written there is refused, and not lost."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "standard output is closed")


def part_output() -> TextIO | None:
    """Keep standard output for data: whatever is printed to descriptor 1, by a child process of a plugin for one, goes
    to standard error. Gives a stream to standard error that nobody else knows, and so nobody else closes.
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
    """A stream like this to where the descriptor leads, by a descriptor of its own that no other program gets."""
    buffering = 1 if getattr(stream, "line_buffering", False) else -1
    own = _far(number)
    return open(own, "w", buffering, encoding=stream.encoding, errors=stream.errors, closefd=False)


def _far(number: int) -> int:
    """Another descriptor for the same, far from those that come next: whoever closes it gets no file in its place."""
    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, FAR)
    except OSError:  # there may be no such numbers
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)


def here() -> Path:
    """The working folder. Where it is gone, a path against which nothing is found; full paths are good all the same."""
    from pathlib import Path  # a worker does without it until something asks

    return Path(working_folder() or "")


@contextmanager
def kept() -> Iterator[None]:
    """See to it that other people's code changes nothing here that a run rests on.

    The working folder, the signals that stop a run, the mask for new files, the standard streams, the recursion limit.
    What it changes in the environment and in `sys.path` is for its workers too, and stays.
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
    """Its path; None where it is gone."""
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
        # None: it was set by something that isn't Python. Only the main thread may set any.
        if before is not None and signal.getsignal(number) is not before:
            with suppress(ValueError):
                signal.signal(number, before)
