"""One node and one type hint → one value, or the mistakes that stand in the way.

The walk goes through node and hint together and opens lists, mappings, unions and classes itself, so that every
mistake stands at the value it is about and none hides another. Single values are left to `leaves`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import msgspec

from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence, plain
from stagerunner.config.options.describe import LISTS, MAPPINGS, arms, bare, describe, wanted
from stagerunner.config.options.fields import Option, options_of
from stagerunner.config.options.leaves import Unfit, leaf, literal
from stagerunner.config.options.wording import called, did_you_mean, hidden, listed, shortened
from stagerunner.errors import Mark, Mistake

Base = Callable[[Mark], Path]


class Fitting:
    """Fits nodes to hints and collects `mistakes`. `base` gives the folder a path written at a mark stands against.

    What could not be fitted comes back as None, with a mistake.
    """

    def __init__(self, base: Base) -> None:
        self.base = base
        self.mistakes: list[Mistake] = []

    def fit(self, node: Node, hint: Any, path: str) -> Any:
        """The value of `node` as `hint` wants it; `path` is where it stands ("stages[1].with.fields")."""
        try:
            return self._fit(node, bare(hint), path)
        except Unfit as unfit:
            message = f"{label(path)} {unfit.message}"
            self.mistakes.append(Mistake("type", message, node.mark, path, unfit.fix))
            return None

    def _fit(self, node: Node, hint: Any, path: str) -> Any:
        origin, inside = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            return self._limited(node, hint, inside[0], path)
        if hint is Any or hint is object:
            return plain(node)
        if union := arms(hint):
            return self._one_of(node, union, hint, path)
        if origin is Literal:
            return literal(node, inside, hint)
        if (origin or hint) in LISTS:
            return self._list(node, origin or hint, inside, hint, path)
        if (origin or hint) in MAPPINGS:
            return self._mapping(node, inside or (Any, Any), hint, path)
        if _has_fields(hint):
            return self._fields(node, hint, path)
        return leaf(node, hint, self.base)

    def _limited(self, node: Node, hint: Any, inner: Any, path: str) -> Any:
        before = len(self.mistakes)
        value = self._fit(node, bare(inner), path)
        if len(self.mistakes) > before:
            return None
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError:
            raise Unfit.of(node, hint) from None
        except TypeError:  # a type, or a marker, that msgspec has no notion of: nothing to hold against the value
            return value

    def _one_of(self, node: Node, union: tuple[Any, ...], hint: Any, path: str) -> Any:
        if _is_null(node) and type(None) in union:
            return None
        choices = sorted((bare(arm) for arm in union if arm is not type(None)), key=lambda arm: _far(node, arm))
        if len(choices) == 1:
            return self._fit(node, choices[0], path)
        like: list[list[Mistake]] = []
        for arm in choices:
            trial = Fitting(self.base)
            value = trial.fit(node, arm, path)
            if not trial.mistakes:
                return value
            if not isinstance(node, Scalar) and _far(node, arm) == 0:
                like.append(trial.mistakes)
        if len(like) != 1:
            raise Unfit.of(node, hint)
        self.mistakes += like[0]
        return None

    def _list(self, node: Node, kind: Any, inside: tuple[Any, ...], hint: Any, path: str) -> Any:
        if not isinstance(node, Sequence):
            raise Unfit(f"must be a list, not {called(node)}", _as_list(node))
        hints = _item_hints(kind, inside, len(node.items))
        if len(hints) != len(node.items):
            raise Unfit(f"must be {wanted(hint)}, not of {len(node.items)}")
        pairs = enumerate(zip(node.items, hints, strict=True))
        items = [self.fit(item, item_hint, f"{path}[{index}]") for index, (item, item_hint) in pairs]
        try:
            return kind(items) if kind in (set, frozenset, tuple) else items
        except TypeError:
            raise Unfit("must hold single values only, neither lists nor mappings") from None

    def _mapping(self, node: Node, inside: tuple[Any, ...], hint: Any, path: str) -> dict[Any, Any]:
        if not isinstance(node, Mapping):
            raise Unfit.of(node, hint)
        return {
            self._key(key, bare(inside[0]), f"{path}.{key.text}"): self.fit(value, inside[1], f"{path}.{key.text}")
            for key, value in node.entries
        }

    def _key(self, key: Scalar, hint: Any, path: str) -> Any:
        if hint in (Any, str):
            return key.text
        try:
            return msgspec.convert(key.text, hint, strict=False)
        except (msgspec.ValidationError, TypeError):
            message = f"the key '{shortened(key.text)}' must be {wanted(hint)}"
            self.mistakes.append(Mistake("type", message, key.mark, path))
            return key.text

    def _fields(self, node: Node, hint: Any, path: str) -> Any:
        if not isinstance(node, Mapping):
            raise Unfit.of(node, hint)
        known = {option.name: option for option in _options(hint)}
        before = len(self.mistakes)
        values = {key: self.fit(value, known[key].hint, f"{path}.{key}") for key, value in node if key in known}
        self._complete(node, known, path)
        if len(self.mistakes) > before:
            return None
        try:
            return hint(**values)
        except Exception as error:  # a plugin's own code, which may raise anything
            raise Unfit(f"can't be this {describe(hint)}" + ("" if hidden(node) else f": {error}")) from error

    def _complete(self, node: Mapping, known: dict[str, Option], path: str) -> None:
        """Every key is known, and no required one is missing."""
        for key, _ in node.entries:
            if key.text not in known:
                message = f"{label(path)} has no '{shortened(key.text)}'"
                fix = did_you_mean(key.text, known, after=len(self.mistakes)) or f"it takes {listed(known)}"
                self.mistakes.append(Mistake("unknown-option", message, key.mark, f"{path}.{key.text}", fix))
        for name, option in known.items():
            if option.required and node.get(name) is None:
                message = f"{label(path)} needs '{name}'"
                fix = f"add `{name}:` ({option.describe()})"
                self.mistakes.append(Mistake("missing-option", message, node.mark, f"{path}.{name}", fix))


def label(path: str) -> str:
    """The last part of a path with its indices: "fields[1]" of "stages[0].with.fields[1]"."""
    return shortened(path.rpartition(".")[2])


def _as_list(node: Node) -> str:
    shown = isinstance(node, Scalar) and not hidden(node) and node.value is not None and len(node.text) < 30
    return f"write [{node.text}]" if shown and isinstance(node, Scalar) else "write a list: [a, b]"


def _item_hints(kind: Any, inside: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    if kind is tuple and inside and inside[-1] is not Ellipsis:
        return inside
    return (inside[0] if inside else Any,) * count


def _has_fields(hint: Any) -> bool:
    kinds = hasattr(hint, "__dataclass_fields__") or typing.is_typeddict(hint)
    return isinstance(hint, type) and (kinds or issubclass(hint, msgspec.Struct))


def _options(hint: Any) -> tuple[Option, ...]:
    if not typing.is_typeddict(hint):
        return options_of(hint)
    hints = typing.get_type_hints(hint)
    return tuple(Option(name, hints[name], name in hint.__required_keys__) for name in hints)


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None and not node.quoted


def _far(node: Node, hint: Any) -> int:
    """How greedy a union's arm is with this node: the choosy ones are asked first, text takes what is left."""
    kind = typing.get_origin(hint) or hint
    if isinstance(node, Sequence):
        return 0 if kind in LISTS else 1
    if isinstance(node, Mapping):
        return 0 if kind in MAPPINGS or _has_fields(hint) else 1
    if kind in (str, bytes, Any, object):
        return 3
    if kind is Literal or kind is type(node.value):
        return 0
    return 2 if kind in (Path, PurePath) else 1
