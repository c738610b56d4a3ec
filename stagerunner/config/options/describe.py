"""Type hints in plain words: `list[str]` is "list of text"."""

from __future__ import annotations

import collections.abc
import datetime
import enum
import re
import types
import typing
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union

import msgspec

WORDS: dict[Any, str] = {
    Any: "any value",
    object: "any value",
    str: "text",
    bytes: "text",
    int: "whole number",
    float: "number",
    Decimal: "number",
    bool: "true or false",
    type(None): "null",
    Path: "path",
    PurePath: "path",
    datetime.timedelta: "duration",
    datetime.datetime: "date and time",
    datetime.date: "date",
    datetime.time: "time of day",
    re.Pattern: "regular expression",
}
LISTS: tuple[Any, ...] = (
    list,
    set,
    frozenset,
    tuple,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Collection,
    collections.abc.Set,
)
MAPPINGS: tuple[Any, ...] = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_COUNTED = ("whole ", "number", "path", "duration", "regular ", "list", "mapping", "date", "time ")


def bare(hint: Any) -> Any:
    """The hint inside NewTypes, type aliases and type variables; Annotated stays."""
    while True:
        if isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif isinstance(hint, typing.TypeVar):
            hint = hint.__bound__ or Any
        elif hasattr(hint, "__value__") and not isinstance(hint, type):
            hint = hint.__value__
        else:
            return type(None) if hint is None else hint


def arms(hint: Any) -> tuple[Any, ...]:
    """The members of a union; () for any other hint."""
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else ()


def describe(hint: Any) -> str:
    """The values that a hint allows, in words for people who don't know Python."""
    hint = bare(hint)
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return describe(inside[0]) + "".join(_limit(extra) for extra in inside[1:])
    if arms(hint):
        return " or ".join(dict.fromkeys(describe(arm) for arm in arms(hint)))
    if origin is Literal:
        return " | ".join(_written(value) for value in inside)
    if (origin or hint) in LISTS:
        return _describe_list(origin or hint, inside)
    if (origin or hint) in MAPPINGS:
        return f"mapping of {describe(inside[0])} to {describe(inside[1])}" if inside else "mapping"
    return _describe_class(origin or hint)


def wanted(hint: Any) -> str:
    """The same, to follow "must be": "a whole number", "text"."""
    words = describe(hint)
    return f"a {words}" if words.startswith(_COUNTED) else words


def _describe_class(hint: Any) -> str:
    if hint in WORDS:
        return WORDS[hint]
    if not isinstance(hint, type):
        return "any value"
    if issubclass(hint, enum.Enum):
        return " | ".join(_written(member.value) for member in hint)
    if callable(getattr(hint, "parse", None)) or callable(getattr(hint, "from_data", None)):
        return hint.__name__.lower()
    if fields := getattr(hint, "__annotations__", None):
        return f"mapping with {', '.join(fields)}"
    return hint.__name__


def _describe_list(kind: Any, inside: tuple[Any, ...]) -> str:
    if not inside:
        return "list"
    if kind is tuple and inside[-1] is not Ellipsis:
        return f"list of {len(inside)}: {', '.join(map(describe, inside))}"
    return f"list of {describe(inside[0])}"


def _written(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _limit(extra: Any) -> str:
    """The limits of a `msgspec.Meta`, in words."""
    if not isinstance(extra, msgspec.Meta):
        return ""
    said = {
        "≥": extra.ge,
        ">": extra.gt,
        "≤": extra.le,
        "<": extra.lt,
        "a multiple of": extra.multiple_of,
        "at least this long:": extra.min_length,
        "at most this long:": extra.max_length,
        "like": extra.pattern,
    }
    return "".join(f" {word} {value}" for word, value in said.items() if value is not None)
