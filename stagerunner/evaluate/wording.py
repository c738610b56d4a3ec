"""Exceptions and values of user code as text that is safe to send, write and show, whatever their own methods do.

A worker turns an exception into text at once; the object never travels. Nothing here raises.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from stagerunner.records import Cause, CodeFrame

if TYPE_CHECKING:
    import ast


LONGEST = 10_000
"""Characters of a message that are kept."""
MOST_FRAMES = 20
FIRST_FRAMES = 4
"""How many of those are the outermost: the start of a deep recursion matters as well."""
MOST_CAUSES = 8
SHOWN_FRAMES = 4
MOST_NAMES = 500
"""Fields that are compared with a missing one."""
LISTED_NAMES = 10
CUTOFF = 0.6
"""How alike two words must be, from 0 to 1, for one to be suggested for the other."""

OUR_PACKAGES = frozenset(("stagerunner", "stagerunner_parts"))
"""Packages whose frames are left out of tracebacks."""

HOW = {"cause": "caused by", "context": "while handling", "member": "one of them:"}
"""Cause.how → the words before that cause."""


def type_of(value: Any) -> str:
    """The name of a value's class, whatever its metaclass makes of `__name__`."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name


def text_of(value: Any, limit: int = 1000) -> str:
    """A value's representation, cut to `limit` characters, whatever its `__repr__` does."""
    try:
        text = sendable(repr(value))
    except BaseException:
        return f"<unprintable {type_of(value)}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def sendable(text: str) -> str:
    """A plain `str` that UTF-8 can hold: lone surrogates become escapes."""
    # A subclass of str can't be unpickled in a process that hasn't imported it.
    return str.__str__(text).encode(errors="backslashreplace").decode()


def bounded(text: str, limit: int = LONGEST) -> str:
    """A message, cut to `limit` characters."""
    if len(text) <= limit:
        return sendable(text)
    return f"{sendable(text[:limit])}… ({len(text):,} characters in all)"


def message_of(error: BaseException) -> str:
    """An exception's text and its notes. A KeyError for a missing field says so."""
    try:
        text = _no_field(error) or str(error)
        notes = getattr(error, "__notes__", ())
        # code may set __notes__ to a list of anything
        return bounded("\n".join([text, *(note for note in notes if isinstance(note, str))]))
    except BaseException:
        return f"<unprintable {type_of(error)}>"


def frames_of(traceback: TracebackType | None) -> tuple[CodeFrame, ...]:
    """The frames of user code in a traceback, outermost first, at most MOST_FRAMES."""
    frames = tuple(_user_frames(traceback))
    if len(frames) <= MOST_FRAMES:
        return frames
    return frames[:FIRST_FRAMES] + frames[FIRST_FRAMES - MOST_FRAMES :]


def _user_frames(traceback: TracebackType | None) -> Iterator[CodeFrame]:
    while traceback is not None:
        frame = traceback.tb_frame
        if not is_ours(frame):
            yield CodeFrame(sendable(frame.f_code.co_filename), traceback.tb_lineno, frame.f_code.co_name)
        traceback = traceback.tb_next


def is_ours(frame: FrameType) -> bool:
    """Whether a frame belongs to this program or to the import system."""
    return (
        str(frame.f_globals.get("__name__")).partition(".")[0] in OUR_PACKAGES
        or frame.f_code.co_filename.startswith("<frozen ")
    )  # fmt: skip


# Causes


def causes_of(error: BaseException, handled: BaseException | None = None) -> tuple[Cause, ...]:
    """The causes and contexts of an exception, and the members of groups, nearest first.

    handled: the exception being handled when user code was called; an earlier attempt isn't a cause of a later one.
    """
    return tuple(islice(_causes(error, {id(error), id(handled)}), MOST_CAUSES))


def _causes(error: BaseException, seen: set[int]) -> Iterator[Cause]:
    for how, found in _next(error):
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield Cause(how, type_of(found), message_of(found), frames_of(found.__traceback__))
        yield from _causes(found, seen)


def _next(error: BaseException) -> list[tuple[str, BaseException]]:
    try:
        found: list[tuple[str, BaseException]] = []
        if isinstance(error, BaseExceptionGroup):
            found += [("member", member) for member in error.exceptions[:MOST_CAUSES]]
        if error.__cause__ is not None:
            found.append(("cause", error.__cause__))
        elif error.__context__ is not None and not error.__suppress_context__:
            found.append(("context", error.__context__))
        return [(how, one) for how, one in found if isinstance(one, BaseException)]
    except BaseException:  # any of these may be a property that raises
        return []


# Fields


def _no_field(error: BaseException) -> str:
    """ "no field 'pirce'; did you mean 'price'?" for a key looked up in a mapping at hand; else nothing."""
    if type(error) is not KeyError or len(error.args) != 1 or type(error.args[0]) is not str:
        return ""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    looked_in = _looked_in(_failing_expression(traceback.tb_frame.f_code, traceback.tb_lasti), traceback.tb_frame)
    if not isinstance(looked_in, dict) or dict.__contains__(looked_in, error.args[0]):
        return ""
    return no_field(error.args[0], tuple(islice((key for key in looked_in if type(key) is str), MOST_NAMES)))


@lru_cache(maxsize=256)
def no_field(name: str, names: tuple[str, ...]) -> str:
    """The message that a field is missing, with the one that may be meant. names: the fields there are."""
    if not names:
        return ""
    near = nearest(name, names)
    if near:
        return f"no field {name!r}; did you mean {near!r}?"
    more = ", …" if len(names) > LISTED_NAMES else ""
    return f"no field {name!r}; the fields are {', '.join(names[:LISTED_NAMES])}{more}"


def nearest(word: str, choices: Iterable[str], cutoff: float = CUTOFF) -> str:
    """The choice most like the word; '' if none is near."""
    import difflib  # a late import: only mistakes need it

    return next(iter(difflib.get_close_matches(word, list(choices), n=1, cutoff=cutoff)), "")


@lru_cache(maxsize=64)
def _failing_expression(code: CodeType, instruction: int) -> ast.expr | None:
    """The expression that raised, parsed from the source; None without a source."""
    import ast  # a late import: only missing fields need them
    import linecache

    first, last, start, stop = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    if first is None or last is None or start is None or stop is None:
        return None
    lines = [line.encode() for line in linecache.getlines(code.co_filename)[first - 1 : last]]
    if not lines:
        return None
    lines[-1] = lines[-1][:stop]
    lines[0] = lines[0][start:]
    try:
        return ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _looked_in(failing: ast.expr | None, frame: FrameType) -> Any:
    """The mapping in which the failing expression looks up a key, if a local variable holds it. Runs no user code."""
    import ast

    match failing:
        case ast.Subscript(value=ast.expr() as place) | ast.Call(func=ast.Attribute(value=place, attr="pop")):
            return _found(place, frame)
    return None


def _found(place: ast.expr, frame: FrameType) -> Any:
    import ast

    match place:
        case ast.Name(id=name):
            return frame.f_locals.get(name)
        case ast.Subscript(value=outer, slice=ast.Constant(value=key)):
            holder = _found(outer, frame)
            try:
                return holder[key] if type(holder) in (dict, list) else None
            except (LookupError, TypeError):
                return None
    return None


# As lines


def failure_lines(
    type: str, message: str, frames: Iterable[CodeFrame], causes: Iterable[Cause] = (), more: Iterable[str] = ()
) -> list[str]:
    """A failure as lines of a message: type and message, `more`, the frames, and the causes that say more."""
    lines = [f"{type}: {message}" if message else type, *more, *_places(frames, "  ")]
    for cause in causes:
        how, kind, text, places = cause
        if f"{kind}: {text}" in message and not places:
            continue  # the message quotes it
        lines += [f"  {HOW.get(how, how)} {kind}: {text}" if text else f"  {HOW.get(how, how)} {kind}"]
        lines += _places(places, "    ")
    return lines


def _places(frames: Iterable[CodeFrame], indent: str) -> list[str]:
    return [f"{indent}{file}:{line} in {function}" for file, line, function in shown_frames(tuple(frames))]


def shown_frames(frames: tuple[CodeFrame, ...]) -> tuple[CodeFrame, ...]:
    """The last few frames of the user's own code; those of libraries only if there are no others."""
    import sysconfig  # a late import: only failures need it

    paths = sysconfig.get_paths()
    standard = (paths["stdlib"], paths["platstdlib"])
    installed = (paths["purelib"], paths["platlib"])
    theirs = [frame for frame in frames if frame[0].startswith(installed) or not frame[0].startswith(standard)]
    defensive_copy = [frame for frame in theirs if not frame[0].startswith(installed)]
    return tuple((defensive_copy or theirs or frames)[-SHOWN_FRAMES:])


# Errors as text


PACKAGE = __file__.removesuffix("wording.py").removesuffix(f"evaluate{os.sep}")
"""The package's own folder: its frames are left out of tracebacks."""


def describe(error: BaseException) -> str:
    """An error of user code as text: type, message, the last frames of user code, and causes."""
    return "\n".join(failure_lines(type_of(error), message_of(error), frames_of(error.__traceback__), causes_of(error)))
