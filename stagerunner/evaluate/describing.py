"""Describes a part as plain data, in the Python that will run it, for a plan that another one makes.

The request comes on standard input: the plugin files by module name, and the part's target. The answer goes to standard
output: what a `Description` holds, or a text that says why there is none.
"""

from __future__ import annotations

import inspect
import os
import pathlib
import pickle
import signal
import sys
import typing
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

from stagerunner.evaluate.loading import load
from stagerunner.evaluate.wording import frames_of, message_of, type_of
from stagerunner.inherited import signal_at_parents_end
from stagerunner.interpreters import LENT
from stagerunner.parts.base import part_of
from stagerunner.parts.code import code_of
from stagerunner.parts.files import PACKAGE, register
from stagerunner.parts.forming import form_of
from stagerunner.parts.stage import Form
from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:  # it loads OpenSSL, and few stages have a memo
    from stagerunner.memo.behind import Behind

ANSWER = b"\n--- stagerunner is answered ---\n"
"""What stands before an answer."""

_PATHS: dict[type, str] = {pathlib.Path: "Path", pathlib.PurePath: "PurePath"}
"""Types whose module has another name in some versions of Python."""


class DescribedOption(NamedTuple):
    """An option. hint, default: pickled; None where that can't be. written: the hint as text."""

    name: str
    required: bool
    hint: bytes | None
    default: bytes | None
    written: str


class Description(NamedTuple):
    """A stage's part. version: of that Python. lacks: what sources and sinks of ours need, and it hasn't. state, memo:
    what the decorator said. code: as `code_of` has it, with the distribution that the module comes from.
    behind: what a memo depends on; a text if that can't be told, None if nothing is kept."""

    version: tuple[int, ...]
    lacks: tuple[str, ...]
    form: Form
    state: bool | None
    memo: bool
    doc: str
    options: tuple[DescribedOption, ...]
    code: dict[str, str]
    behind: Behind | str | None = None


def main() -> None:
    """Answer one request. What a plugin prints while it is imported goes to standard error.

    If the plan's process ends meanwhile, this one does: an import may hang.
    """
    signal_at_parents_end(signal.SIGKILL)
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        files, target, keeps = pickle.load(sys.stdin.buffer)
        register(files)
        try:
            answer: Description | str = description(target, keeps)
        except BaseException as error:
            answer = _one_line(error)
        out.write(ANSWER + packed(answer))


def description(target: str, keeps: bool | None = False) -> Description:
    """keeps: whether its results are kept; None: as its decorator says.

    Raises whatever the import raises; TypeError for what can't be a stage."""
    found = load(target)
    process = getattr(found, "process", None) or getattr(found, "process_batch", None)
    if inspect.isasyncgenfunction(process if inspect.isclass(found) else found):
        raise TypeError("an async generator can't be a stage; `async def` returns one record or None")
    form = form_of(found)
    part = part_of(found)
    memo = bool(part and part.memo)
    return Description(
        sys.version_info[:3],
        tuple(name for name in LENT if find_spec(name) is None),
        form,
        part.state if part else None,
        memo,
        inspect.getdoc(found) or "",
        tuple(_option(found, one) for one in _parameters(found)),
        {**code_of(target), **_distribution(target)},
        _behind(target) if keeps or (memo and keeps is None) else None,
    )


def _behind(target: str) -> Behind | str:
    from stagerunner.memo.behind import behind  # late: few stages have a memo

    try:
        return behind(target, all_installed=True)
    except OSError as why:
        return message_of(why)


def _one_line(error: BaseException) -> str:
    """ "ModuleNotFoundError: No module named 'geo' (stages.py:3)"."""
    text = " ".join(f"{type_of(error)}: {message_of(error)}".split())
    standard = str(pathlib.Path(os.__file__).parent / "importlib")
    frames = [frame for frame in frames_of(error.__traceback__) if not frame.file.startswith(standard)]
    return f"{text} ({frames[-1].file}:{frames[-1].line})" if frames else text


def _parameters(found: Any) -> list[inspect.Parameter]:
    try:
        given = inspect.signature(found).parameters.values()
    except ValueError:  # a built-in without a signature
        return []
    options = [one for one in given if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return options if inspect.isclass(found) else [one for one in options if one.kind is one.KEYWORD_ONLY]


def _option(found: Any, one: inspect.Parameter) -> DescribedOption:
    hint = _hint(found, one)
    required = one.default is one.empty
    default = None if required else _pickled(one.default)
    return DescribedOption(one.name, required, _pickled(hint), default, inspect.formatannotation(hint))


def _hint(found: Any, one: inspect.Parameter) -> Any:
    """The hint with its names looked up. Raises TypeError if one is unknown."""
    if one.annotation is one.empty:
        return Any
    holder = found.__init__ if inspect.isclass(found) else inspect.unwrap(found)
    names = {**vars(sys.modules.get(found.__module__, typing)), **getattr(holder, "__globals__", {})}
    wanted = type("Hints", (), {"__annotations__": {one.name: one.annotation}})
    try:
        return typing.get_type_hints(wanted, names, include_extras=True)[one.name]
    except Exception as error:
        raise TypeError(f"the type hint of `{one.name}` can't be resolved: {error}") from None


def _distribution(target: str) -> dict[str, str]:
    """The version of the distribution that is called as the module's package, if there is one."""
    from importlib import metadata  # late: heavy, and only the plan asks

    package = target.partition(":")[0].partition(".")[0]
    if package == PACKAGE:
        return {}
    try:
        return {package: metadata.version(package)}
    except (metadata.PackageNotFoundError, ValueError):
        return {}


# As bytes


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> str | None:
        return _PATHS.get(value) if isinstance(value, type) else None


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: str) -> Any:
        return getattr(pathlib, name)


def answered(said: bytes) -> Any:
    """The answer in what that process wrote to standard output. Raises ValueError if there is none, and whatever the
    import of a type raises.

    Before it there may be what a wrapper of that Python has printed, or a module that the environment always imports.
    """
    before, begins, answer = said.partition(ANSWER)
    if not begins:
        raise ValueError(before.decode(errors="replace"))
    return unpacked(answer)


def packed(value: Any) -> bytes:
    """The value for another version of Python."""
    out = BytesIO()
    _Pickler(out, 5).dump(value)
    return out.getvalue()


def unpacked(data: bytes) -> Any:
    """The value of `packed`. Raises whatever the import of a type raises."""
    return _Unpickler(BytesIO(data)).load()


def _pickled(value: Any) -> bytes | None:
    try:
        return packed(value)
    except Exception:
        return None
