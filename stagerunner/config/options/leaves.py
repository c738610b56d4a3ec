"""Single values: text, numbers, paths, durations, choices and types that read themselves."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import typing
import uuid
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import msgspec

from stagerunner.config.nodes import Node, Scalar, plain
from stagerunner.config.options.describe import describe, wanted
from stagerunner.config.options.paths import HOMELESS, is_homeless, standing
from stagerunner.config.options.quantities import NotAQuantity, seconds
from stagerunner.config.options.wording import called, did_you_mean, hidden, shortened
from stagerunner.errors import Mark
from stagerunner.guard import head, is_ctrl_c, text_of

FROM_TEXT = (datetime.datetime, datetime.date, datetime.time, decimal.Decimal, uuid.UUID)
"""Types that msgspec reads from text: given the text as it was written."""


class Unfit(Exception):
    """A value doesn't fit its type. `message` follows the option's name: "must be …"."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message, self.fix = message, fix

    @classmethod
    def of(cls, node: Node, hint: Any, fix: str = "") -> Unfit:
        """ "must be text, not a list"."""
        return cls(f"must be {wanted(hint)}, not {called(node)}", fix)


def leaf(node: Node, hint: Any, base: Callable[[Mark], Path]) -> Any:
    """The value of a scalar as `hint` wants it. Raises Unfit."""
    if isinstance(node, Scalar) and (read := _READERS.get(typing.get_origin(hint) or hint)):
        return read(node)
    if isinstance(node, Scalar) and isinstance(hint, type):
        if issubclass(hint, PurePath):
            return _path(node, hint, base)
        if callable(getattr(hint, "parse", None)):
            return _parsed(node, hint)
        if issubclass(hint, enum.Enum):
            return _chosen(node, {member.value: member for member in hint}, hint)
    return _converted(node, hint)


def literal(node: Node, choices: tuple[Any, ...], hint: Any) -> Any:
    """The one of `choices` that was written. Raises Unfit."""
    return _chosen(node, {choice: choice for choice in choices}, hint)


def _chosen(node: Node, choices: dict[Any, Any], hint: Any) -> Any:
    if not isinstance(node, Scalar):
        raise Unfit.of(node, hint)
    for written, choice in choices.items():
        if isinstance(written, str) and node.text == written:
            return choice
        if type(written) is type(node.value) and written == node.value:
            return choice
    near = "" if hidden(node) else did_you_mean(node.text, [str(written) for written in choices])
    raise Unfit(f"must be one of {describe(hint)}, not {called(node)}", near)


def _text(node: Scalar) -> str:
    if node.value is None and not node.quoted:
        raise Unfit.of(node, str, 'write "" for an empty text')
    return node.text


def _bytes(node: Scalar) -> bytes:
    return _text(node).encode()


def _whole(node: Scalar) -> int:
    if type(node.value) is not int:
        raise Unfit.of(node, int, _unquote(node, r"[-+]?[0-9]{1,30}"))
    return node.value


def _number(node: Scalar) -> float:
    if not isinstance(node.value, int | float) or isinstance(node.value, bool):
        raise Unfit.of(node, float, _unquote(node, r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?"))
    try:
        return float(node.value)
    except OverflowError:
        raise Unfit("is too large a number") from None


def _truth(node: Scalar) -> bool:
    if type(node.value) is bool:
        return node.value
    if node.text.lower() in ("yes", "on", "no", "off"):
        raise Unfit.of(node, bool, f"write {'true' if node.text.lower() in ('yes', 'on') else 'false'}")
    raise Unfit.of(node, bool, _unquote(node, "true|false"))


def _nothing(node: Scalar) -> None:
    if node.value is not None:
        raise Unfit.of(node, type(None))


def _duration(node: Scalar) -> datetime.timedelta:
    try:
        return datetime.timedelta(seconds=seconds(_text(node)))
    except NotAQuantity as error:
        raise Unfit.of(node, datetime.timedelta, error.fix) from None


def _pattern(node: Scalar) -> re.Pattern[str]:
    try:
        return re.compile(_text(node))
    except (re.error, OverflowError, RecursionError) as error:
        raise Unfit("must be a regular expression" if hidden(node) else f"is no regular expression: {error}") from None


def _path(node: Scalar, hint: type[PurePath], base: Callable[[Mark], Path]) -> PurePath:
    text = _text(node)
    if not text or "\0" in text:
        raise Unfit("must be a path, and that is none")
    if is_homeless(text):
        raise Unfit("must be a path" if hidden(node) else f"is no path: {HOMELESS}", "write ./~… for a name like that")
    return hint(text) if text == "-" else hint(standing(base(node.mark), text))


def _parsed(node: Scalar, hint: Any) -> Any:
    """What the type's own `parse` makes of the text. Its code is a plugin's, so it may raise anything."""
    text = _text(node)
    try:
        return hint.parse(text)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        if hidden(node):
            raise Unfit.of(node, hint) from None
        why = text_of(error) if isinstance(error, ValueError) else f"{hint.__name__}.parse raised {head(error)}"
        raise Unfit(f"is no {describe(hint)}: {shortened(why, 200)}", text_of(getattr(error, "fix", ""))) from error


def _converted(node: Node, hint: Any) -> Any:
    value = node.text if isinstance(node, Scalar) and hint in FROM_TEXT else plain(node)
    try:
        return msgspec.convert(value, hint)
    except (msgspec.ValidationError, ValueError):
        raise Unfit.of(node, hint) from None
    except TypeError:
        raise Unfit(f"has a type that no config can say: {describe(hint)}") from None
    except BaseException as error:  # what a type does itself when a value of it is made
        if is_ctrl_c(error):
            raise
        raise Unfit.of(node, hint, f"{describe(hint)} raised {head(error)}") from None


def _unquote(node: Scalar, like: str) -> str:
    fits = node.quoted and not hidden(node) and re.fullmatch(like, node.text)
    return f"write {node.text}, without quotes" if fits else ""


_READERS: dict[Any, Callable[[Scalar], Any]] = {
    str: _text,
    bytes: _bytes,
    int: _whole,
    float: _number,
    bool: _truth,
    type(None): _nothing,
    datetime.timedelta: _duration,
    re.Pattern: _pattern,
}
