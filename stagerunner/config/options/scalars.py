"""Single values by their type hint: text, numbers, paths, durations, choices, and types that read for themselves: text
by their `parse`, any value, lists and mappings too, by their `from_data`."""

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

from stagerunner.config.nodes import Node, Scalar, is_null, plain
from stagerunner.config.options.describe import describe, wanted
from stagerunner.config.paths import UNKNOWN_USER, has_unknown_user, resolve_path
from stagerunner.config.readers import (
    InvalidValue,
    Location,
    Reader,
    boolean,
    choose,
    duration,
    integer,
    real,
    text,
)
from stagerunner.config.wording import hidden, shortened
from stagerunner.errors import Mark
from stagerunner.guard import head, is_ctrl_c, text_of

FROM_TEXT = (datetime.datetime, datetime.date, datetime.time, decimal.Decimal, uuid.UUID)
"""Types that msgspec reads from text: they get the text as it was written."""


def read_scalar(node: Node, hint: Any, location: Location, base: Callable[[Mark], Path]) -> Any:
    """The value of a node that is neither list, mapping nor union in its hint. Raises InvalidValue."""
    if reader := _READERS.get(typing.get_origin(hint) or hint):
        return reader(node, location)
    if isinstance(hint, type) and callable(from_data := getattr(hint, "from_data", None)):
        return _made(from_data, plain(node), node, hint)
    if isinstance(node, Scalar) and isinstance(hint, type):
        if issubclass(hint, PurePath):
            return _path(node, hint, base)
        if callable(parse := getattr(hint, "parse", None)):
            return _made(parse, text(node, location), node, hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return choose(node, {member.value: member for member in hint}, f"one of {describe(hint)}")
    return _converted(node, hint)


def _bytes(node: Node, location: Location) -> bytes:
    return text(node, location).encode()


def _null(node: Node, location: Location) -> None:
    if not isinstance(node, Scalar) or node.value is not None:
        raise InvalidValue.expected("null", node)


def _timedelta(node: Node, location: Location) -> datetime.timedelta:
    return datetime.timedelta(seconds=duration(node, location))


def _pattern(node: Node, location: Location) -> re.Pattern[str]:
    try:
        return re.compile(text(node, location))
    except (re.error, OverflowError, RecursionError) as error:
        why = "must be a regular expression" if hidden(node) else f"isn't a valid regular expression: {error}"
        raise InvalidValue(why) from None


def _path(node: Scalar, hint: type[PurePath], base: Callable[[Mark], Path]) -> PurePath:
    written = node.text
    if is_null(node):
        raise InvalidValue.expected("a path", node)
    if not written or "\0" in written:
        raise InvalidValue("must be a path, and this isn't one")
    if has_unknown_user(written):
        why = "must be a path" if hidden(node) else f"isn't a path: {UNKNOWN_USER}"
        raise InvalidValue(why, "write ./~… for a name like that")
    return hint(written) if written == "-" else hint(resolve_path(base(node.mark), written))


def _made(make: Callable[[Any], Any], value: Any, node: Node, hint: Any) -> Any:
    """The value as the type's own `parse` or `from_data` reads it: a plugin's code, which may raise anything."""
    try:
        return make(value)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        if hidden(node):
            raise InvalidValue.expected(wanted(hint), node) from None
        why = (
            text_of(error) if isinstance(error, ValueError) else f"{hint.__name__}.{make.__name__} raised {head(error)}"
        )
        fix = text_of(getattr(error, "fix", ""))
        raise InvalidValue(f"isn't a valid {describe(hint)}: {shortened(why, 200)}", fix) from error


def _converted(node: Node, hint: Any) -> Any:
    value = node.text if isinstance(node, Scalar) and hint in FROM_TEXT else plain(node)
    try:
        return msgspec.convert(value, hint)
    except (msgspec.ValidationError, ValueError):
        raise InvalidValue.expected(wanted(hint), node) from None
    except TypeError:
        raise InvalidValue(f"has a type that no config can express: {describe(hint)}") from None
    except BaseException as error:  # raised by the type's own constructor
        if is_ctrl_c(error):
            raise
        raise InvalidValue.expected(wanted(hint), node, f"{describe(hint)} raised {head(error)}") from None


_READERS: dict[Any, Reader] = {
    str: text,
    bytes: _bytes,
    int: integer,
    float: real,
    bool: boolean,
    type(None): _null,
    datetime.timedelta: _timedelta,
    re.Pattern: _pattern,
}
