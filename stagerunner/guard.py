"""The border at which the parent calls plugins: whatever a plugin raises is the failure of that part.

    with guard("the sink out.txt", "write"):
        sink.write(data)

A plugin's method may raise anything, SystemExit included, and may return anything. Neither may end the run as a
success, or look like a fault of stagerunner. A real Ctrl-C passes, and so does an error that says how the run ends.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stagerunner.errors import InternalError, RunFailed, StagerunnerError, Stopped
from stagerunner.inherited import working_folder
from stagerunner.parts import files

if TYPE_CHECKING:  # pathlib takes 3 ms, half of what `--help` needs beside click
    from pathlib import Path
    from types import TracebackType

_HERE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - as a traceback has it

LONGEST = 1000
"""Characters of a message that are reported."""

MAY_PASS = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "ESTALE", "EBUSY", "ETXTBSY", "ENOLCK", "EDEADLK"),
        *("EMFILE", "ENFILE", "ENOMEM", "EAGAIN", "EINTR", "ENOBUFS", "EUSERS", "ECHILD"),
        *("ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "ENETDOWN", "ENETUNREACH", "ENETRESET"),
        *("EHOSTDOWN", "EHOSTUNREACH", "ENOTCONN", "EPIPE", "ESHUTDOWN", "EREMOTEIO"),
    )
    if hasattr(errno, name)
)
"""Errors that may pass without any change of the chain: disk space, limits, devices, networks. A folder that is missing
or not writable is not among them."""

AWAY = frozenset((errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.ENETUNREACH))
"""Errors with which a server can't be reached."""


def refused(error: BaseException, what: str = "the system refused") -> StagerunnerError:
    """The error of a run that the system refused something: Stopped (resumable) if that may pass, else RunFailed."""
    why = "out of memory" if isinstance(error, MemoryError) else reason(error)
    passes = not isinstance(error, OSError) or may_pass(error)
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        why += f" for the limit of this process, {os.sysconf('SC_OPEN_MAX'):,} (`ulimit -n`)"
    return (Stopped if passes else RunFailed)(f"{what}: {why}")


@contextmanager
def refusals() -> Iterator[None]:
    """If the system refuses something in here (descriptors, processes, memory), the run stops and can be resumed."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise refused(error) from error


class guard:  # noqa: N801 - it reads as the statement that it is
    """Turns what is raised inside into the failure of this part in this method.

    part: "the sink out.txt", or a function that gives it. refused: the words for an OSError.
    """

    __slots__ = ("_method", "_part", "_refused")

    def __init__(self, part: str | Callable[[], str], method: str, refused: str = "") -> None:
        self._part, self._method, self._refused = part, method, refused

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None and not passes(error):
            raise self.failure(error) from error

    def failure(self, error: BaseException) -> StagerunnerError:
        """The error of the run for an error in here."""
        part = self._part if isinstance(self._part, str) else self._part()
        if isinstance(error, OSError) and error.errno is None:  # the part's own message
            return RunFailed(f"{part} failed: {reason(error)}")
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and (self._refused or may_pass(error))):
            return refused(error, f"{part} {self._refused or 'failed'}")
        return RunFailed(f"{part} failed: {head(error)} ({', '.join([f'in {self._method}', *_places(error)])})")


def passes(error: BaseException) -> bool:
    """Whether it is not a part's failure: Ctrl-C, or an error of stagerunner that says how the run ends."""
    return is_ctrl_c(error) or (isinstance(error, StagerunnerError) and not isinstance(error, InternalError))


def is_ctrl_c(error: BaseException) -> bool:
    """Whether it is a KeyboardInterrupt from the signal, between two instructions, and not from a `raise`."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    from opcode import opmap  # rarely needed

    place = error.__traceback__
    if place is None:
        return True
    while place.tb_next is not None:
        place = place.tb_next
    return place.tb_frame.f_code.co_code[place.tb_lasti] != opmap["RAISE_VARARGS"]


def wrong(part: str, method: str, given: Any, due: str) -> RunFailed:
    """The error for a method that gave a value of the wrong type. due: what it should give."""
    return RunFailed(f"{part} failed: {method} gave {_a(type(given).__name__)}, not {due}")


def plain(value: Any, part: str, method: str) -> Any:
    """The value, if a journal can hold it. Raises RunFailed, naming the part, if it is not JSON data."""
    import json

    try:
        json.dumps(value)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        raise RunFailed(f"{part} failed: what {method} gave isn't JSON data: {head(error)}") from error
    return value


def one_line(error: BaseException) -> str:
    """ "KeyError: 'x' (my_stages.py:3)": the exception, and the line of user code that raised it."""
    place = ", ".join(_places(error))
    return f"{head(error)} ({place})" if place else head(error)


def head(error: BaseException) -> str:
    """ "KeyError: 'x'"."""
    text = " ".join(_text(error).split())
    return type(error).__name__ + (f": {text[:LONGEST]}" if text else "")


def shown(path: Path | str) -> str:
    """A path as a person writes it: relative to the current folder if it lies below."""
    folder = working_folder()
    near = ".." if folder is None else os.path.relpath(path, folder)
    return str(path) if near.startswith("..") else near


def reason(error: BaseException) -> str:
    """The reason in an OSError, without the name of the file."""
    return getattr(error, "strerror", None) or _text(error) or type(error).__name__


def of_a_plugin(error: BaseException) -> bool:
    """Whether it was raised in a plugin's file."""
    place, last = error.__traceback__, ""
    while place is not None:
        last, place = place.tb_frame.f_code.co_filename, place.tb_next
    return last in files.registered().values()


def text_of(value: Any) -> str:
    """`str` of a value whose type may raise anything."""
    try:
        return str(value)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        return "<unprintable>"


def _text(error: BaseException) -> str:
    return text_of(error.msg if isinstance(error, SyntaxError) else error)


def is_away(error: BaseException) -> bool:
    """Whether something elsewhere can't be reached at the moment."""
    return isinstance(error, OSError) and error.errno in AWAY


def may_pass(error: OSError) -> bool:
    """Whether the error may pass without any change of the chain."""
    return error.errno in MAY_PASS


def _a(word: str) -> str:
    return f"an {word}" if word[:1] in "aeiouAEIOU" else f"a {word}"


def _places(error: BaseException) -> list[str]:
    """The line of user code that raised it: one place, or none."""
    if isinstance(error, SyntaxError) and error.filename:
        return [f"{shown(error.filename)}:{error.lineno}"]
    frames = list(_frames(error))
    plugin_files = set(files.registered().values())
    own = [frame for frame in frames if frame[0] in plugin_files] or frames
    return [f"{shown(own[-1][0])}:{own[-1][1]}"] if own else []


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    import importlib

    place = error.__traceback__
    while place is not None:
        file = place.tb_frame.f_code.co_filename
        if not file.startswith(("<", _HERE)) and file != importlib.__file__:
            yield file, place.tb_lineno
        place = place.tb_next
