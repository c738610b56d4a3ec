"""The options of a function or class, from its signature, with their type hints resolved."""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from stagerunner.config.options.describe import describe
from stagerunner.parts.base import Kind, part_of

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_HELP = r"(?m)^[ \t]*(\w+):[ \t]+(.+)$"


class Option(Struct, frozen=True):
    """One option of a part.

    hint: its type hint, resolved; Any if it has none. default: None if it is required. help: its line of the docstring.
    """

    name: str
    hint: Any = Any
    required: bool = False
    default: Any = None
    help: str = ""

    def describe(self) -> str:
        """The values it takes, in plain words: "list of text", "hash | drop | mask"."""
        return describe(self.hint)


def options_of(found: Any, kind: Kind | None = None) -> tuple[Option, ...]:
    """The options of a part: a class's constructor parameters, a function's keyword-only arguments.

    kind: its use, if its decorator doesn't say. All arguments of a generator function that is a source are options,
    since it gets no record. `*args` and `**kwargs` are not options.
    Raises TypeError, in a plain sentence, if a type hint can't be resolved.
    """
    part = part_of(found)
    kind = (part.kind if part else None) or kind or "stage"
    parameters = _parameters(found)
    if not inspect.isclass(found) and kind == "stage":
        parameters = [one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    hints, helps = _hints(found, parameters), _helps(found)
    return tuple(
        Option(
            one.name,
            hints.get(one.name, Any),
            one.default is inspect.Parameter.empty,
            _default(found, one),
            helps.get(one.name, ""),
        )
        for one in parameters
    )


def _parameters(found: Any) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(found)
    except ValueError:  # a built-in without a signature
        return []
    except Exception as error:
        raise TypeError(f"the signature of {_name(found)} can't be read: {error}") from error
    return [one for one in signature.parameters.values() if one.kind in _NAMED]


def _default(found: Any, parameter: inspect.Parameter) -> Any:
    if parameter.default is inspect.Parameter.empty:
        return None
    field = getattr(found, "__dataclass_fields__", {}).get(parameter.name)
    if field is None:
        return parameter.default
    from dataclasses import MISSING  # already imported by the plugin with the dataclass

    return parameter.default if field.default_factory is MISSING else field.default_factory()


def _hints(found: Any, parameters: list[inspect.Parameter]) -> dict[str, Any]:
    """The parameters' hints, resolved one at a time: a return type may be known to type checkers only."""
    hinted = [one for one in parameters if one.annotation is not inspect.Parameter.empty]
    names = {name: value for space in _namespaces(found) for name, value in space.items()} if hinted else {}
    return {one.name: _resolved(one, found, names) for one in hinted}


def _resolved(parameter: inspect.Parameter, found: Any, names: dict[str, Any]) -> Any:
    wanted = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(wanted, names, include_extras=True)[parameter.name]
    except Exception as error:
        raise TypeError(f"the type hint of `{parameter.name}` in {_name(found)} can't be resolved: {error}") from error


def _namespaces(found: Any) -> Iterator[dict[str, Any]]:
    """Namespaces for the names in hints: the function's module, or those of the class's bases and of the class."""
    if inspect.isclass(found):
        modules = [base.__module__ for base in reversed(found.__mro__)]
        yield from (vars(sys.modules[name]) for name in modules if name in sys.modules)
    else:
        function = inspect.unwrap(found)
        yield getattr(function, "__globals__", None) or getattr(type(function).__call__, "__globals__", {})


def _helps(found: Any) -> dict[str, str]:
    """The docstring's lines of the form `name: text`."""
    constructor = found.__init__ if inspect.isclass(found) else None
    docs = [inspect.getdoc(one) or "" for one in (constructor, found) if one is not None]
    return {name: text.strip() for doc in docs for name, text in re.findall(_HELP, doc)}


def _name(found: Any) -> str:
    return str(getattr(found, "__qualname__", type(found).__name__))
