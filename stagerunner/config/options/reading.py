"""The mapping under `with:` → checked options.

A type hint becomes a reader that walks through hint and node together. It opens lists, mappings, unions and classes
itself, so that every mistake stands at its own value and none hides another. `scalars` reads single values.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import msgspec

from stagerunner.config import nodes
from stagerunner.config.nodes import Mapping, Node, Scalar, is_null, plain
from stagerunner.config.options.describe import LISTS, MAPPINGS, arms, bare, describe, wanted
from stagerunner.config.options.fields import Option, options_of
from stagerunner.config.options.scalars import read_scalar
from stagerunner.config.readers import InvalidValue, Location, Reader, choose
from stagerunner.config.settings import STAGE_SETTINGS
from stagerunner.config.wording import did_you_mean, hidden, listed, shortened
from stagerunner.errors import Mark, Mistake

Base = Callable[[Mark], Path]


def read_options(
    options: Sequence[Option], node: Mapping | None, *, mark: Mark, path: str, base: Base
) -> tuple[dict[str, Any], list[Mistake]]:
    """The options that are written, converted to their types, and everything wrong with them.

    mark: the part, where a missing option is reported if there is no `with`. path: where the mapping stands in the
    config ("stages[1].with"). base: returns the folder that a path written at a mark is relative to.
    Options left out are not in the result: the part itself has their defaults.
    """
    known = {option.name: option for option in options}
    location, hints = Location(path, []), HintReader(base)
    values: dict[str, Any] = {}
    for key, value in node.entries if node else ():
        option, inside = known.get(key.text), location.inside(key.text)
        if option is None:
            _report_unknown(key, known, inside)
        elif not _is_default(option, value):
            values[key.text] = inside.read(value, hints.reader(option.hint))
    written = {key for key, _ in node} if node else set()
    meant = {mistake.fix for mistake in location.mistakes}
    place = node.mark if node and node.entries else mark
    for option in options:
        if option.required and option.name not in written and f"did you mean '{option.name}'?" not in meant:
            message, fix = f"the option '{option.name}' is required", f"add `{option.name}:` ({option.describe()})"
            location.inside(option.name).add("missing-option", message, place, fix)
    return values, location.mistakes


def _is_default(option: Option, value: Node) -> bool:
    """Null for an option whose default is None: the same as leaving it out, whatever its hint."""
    return is_null(value) and option.default is None and not option.required


def _report_unknown(key: Scalar, known: dict[str, Option], location: Location) -> None:
    name = shortened(key.text)
    code, message = "unknown-option", f"there is no option '{name}'"
    if key.text in STAGE_SETTINGS:
        code, fix = "misplaced-setting", f"`{name}` is a setting: it stands beside `use:`, not under `with:`"
    else:
        fix = did_you_mean(key.text, known, after=len(location.mistakes)) or (
            f"the options are {listed(known)}" if known else "it takes no options"
        )
    location.add(code, message, key.mark, fix)


class HintReader:
    """Makes readers of type hints. base: returns the folder that a path written at a mark is relative to."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def reader(self, hint: Any) -> Reader:
        return lambda node, location: self._read(node, bare(hint), location)

    def _read(self, node: Node, hint: Any, location: Location) -> Any:
        origin, inside = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            return self._annotated(node, hint, inside[0], location)
        if hint is Any or hint is object:
            return plain(node)
        if union := arms(hint):
            return self._union(node, union, hint, location)
        if origin is Literal:
            return choose(node, dict(zip(inside, inside, strict=True)), f"one of {describe(hint)}")
        if (origin or hint) in LISTS:
            return self._list(node, origin or hint, inside, hint, location)
        if (origin or hint) in MAPPINGS:
            return self._mapping(node, inside or (Any, Any), hint, location)
        if _has_fields(hint):
            return self._fields(node, hint, location)
        return read_scalar(node, hint, location, self._base)

    def _annotated(self, node: Node, hint: Any, inner: Any, location: Location) -> Any:
        """The value of the inner hint, held against the limits that `msgspec.Meta` sets."""
        before = len(location.mistakes)
        value = self._read(node, bare(inner), location)
        if len(location.mistakes) > before:
            return None
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            raise InvalidValue.expected(wanted(hint), node) from None
        except TypeError:  # msgspec doesn't know this type or annotation: there is no limit to check
            return value

    def _union(self, node: Node, union: tuple[Any, ...], hint: Any, location: Location) -> Any:
        """The value of the first arm that accepts the node, the most specific arm first.

        Where exactly one arm has the node's shape (a list or mapping), its mistakes are reported: they say more.
        """
        if is_null(node) and type(None) in union:
            return None
        choices = sorted((bare(arm) for arm in union if arm is not type(None)), key=lambda arm: _generality(node, arm))
        if len(choices) == 1:
            return self._read(node, choices[0], location)
        same_shape: list[list[Mistake]] = []
        for arm in choices:
            trial = Location(location.path, [])
            value = trial.read(node, self.reader(arm))
            if not trial.mistakes:
                return value
            if not isinstance(node, Scalar) and _generality(node, arm) == 0:
                same_shape.append(trial.mistakes)
        if len(same_shape) != 1:
            raise InvalidValue.expected(wanted(hint), node)
        location.mistakes.extend(same_shape[0])
        return None

    def _list(self, node: Node, kind: Any, inside: tuple[Any, ...], hint: Any, location: Location) -> Any:
        if not isinstance(node, nodes.Sequence):
            raise InvalidValue.expected("a list", node, _as_list(node))
        hints = _item_hints(kind, inside, len(node.items))
        if len(hints) != len(node.items):
            raise InvalidValue(f"must be {wanted(hint)}, not of {len(node.items)}")
        pairs = enumerate(zip(node.items, hints, strict=True))
        items = [location.at(index).read(item, self.reader(item_hint)) for index, (item, item_hint) in pairs]
        try:
            return kind(items) if kind in (set, frozenset, tuple) else items
        except TypeError:
            raise InvalidValue("must hold single values only, neither lists nor mappings") from None

    def _mapping(self, node: Node, inside: tuple[Any, ...], hint: Any, location: Location) -> dict[Any, Any]:
        if not isinstance(node, Mapping):
            raise InvalidValue.expected(wanted(hint), node)
        key_hint, reader = bare(inside[0]), self.reader(inside[1])
        places = ((key, value, location.inside(key.text)) for key, value in node.entries)
        return {_key(key, key_hint, place): place.read(value, reader) for key, value, place in places}

    def _fields(self, node: Node, hint: Any, location: Location) -> Any:
        """An instance of a dataclass or Struct, or a TypedDict."""
        if not isinstance(node, Mapping):
            raise InvalidValue.expected(wanted(hint), node)
        known = {option.name: option for option in _fields_of(hint)}
        before = len(location.mistakes)
        values = {
            key: location.inside(key).read(value, self.reader(known[key].hint)) for key, value in node if key in known
        }
        _check_keys(node, known, location)
        if len(location.mistakes) > before:
            return None
        try:
            return hint(**values)
        except Exception as error:  # a plugin's own code, which may raise anything
            why = f"can't be this {describe(hint)}" + ("" if hidden(node) else f": {error}")
            raise InvalidValue(why) from error


def _key(key: Scalar, hint: Any, location: Location) -> Any:
    if hint in (Any, str):
        return key.text
    try:
        return msgspec.convert(key.text, hint, strict=False)
    except (msgspec.ValidationError, TypeError):
        location.add("type", f"the key '{shortened(key.text)}' must be {wanted(hint)}", key.mark)
        return key.text


def _check_keys(node: Mapping, known: dict[str, Option], location: Location) -> None:
    """Report unknown keys, and required ones that are missing."""
    for key, _ in node.entries:
        if key.text not in known:
            fix = did_you_mean(key.text, known, after=len(location.mistakes)) or f"it takes {listed(known)}"
            message = f"{location.label} has no '{shortened(key.text)}'"
            location.inside(key.text).add("unknown-option", message, key.mark, fix)
    for name, option in known.items():
        if option.required and node.get(name) is None:
            message, fix = f"{location.label} needs '{name}'", f"add `{name}:` ({option.describe()})"
            location.inside(name).add("missing-option", message, node.mark, fix)


def _as_list(node: Node) -> str:
    """The fix for a single value where a list is expected."""
    shown = isinstance(node, Scalar) and not hidden(node) and node.value is not None and len(node.text) < 30
    return f"write [{node.text}]" if shown and isinstance(node, Scalar) else "write a list: [a, b]"


def _item_hints(kind: Any, inside: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    if kind is tuple and inside and inside[-1] is not Ellipsis:
        return inside
    return (inside[0] if inside else Any,) * count


def _has_fields(hint: Any) -> bool:
    kinds = hasattr(hint, "__dataclass_fields__") or typing.is_typeddict(hint)
    return isinstance(hint, type) and (kinds or issubclass(hint, msgspec.Struct))


def _fields_of(hint: Any) -> tuple[Option, ...]:
    if not typing.is_typeddict(hint):
        return options_of(hint)
    hints = typing.get_type_hints(hint)
    return tuple(Option(name, hints[name], name in hint.__required_keys__) for name in hints)


def _generality(node: Node, hint: Any) -> int:
    """How much besides this node an arm of a union accepts: 0 for its own type or shape, most for text."""
    kind = typing.get_origin(hint) or hint
    if isinstance(node, nodes.Sequence):
        return 0 if kind in LISTS else 1
    if isinstance(node, Mapping):
        return 0 if kind in MAPPINGS or _has_fields(hint) else 1
    if kind in (str, bytes, Any, object):
        return 3
    if kind is Literal or kind is type(node.value):
        return 0
    return 2 if kind in (Path, PurePath) else 1
