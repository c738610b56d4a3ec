"""A config's values with the place each was written at. Text is kept as written until its type is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.errors import Mark


class Scalar(Struct, frozen=True):
    """One value. `text` is what was written, `value` what YAML 1.2 makes of it (None, bool, int, float or str).

    `quoted` values are text whatever they look like. `written` keeps the text before variables were filled in
    (None where there were none); `secret` says that one of them was a secret, `masked` that its value is not
    to be shown. `given`: the function or class that stands there itself, in a config that is a mapping; then `text` is
    its name.
    """

    text: str
    value: bool | int | float | str | None
    mark: Mark
    quoted: bool = False
    written: str | None = None
    secret: bool = False
    masked: bool = False
    given: Any = None


class Sequence(Struct, frozen=True):
    """A list of nodes."""

    items: tuple[Node, ...]
    mark: Mark


class Mapping(Struct, frozen=True):
    """Keys (text scalars) and their nodes, in the order written; no key stands twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        return next((node for scalar, node in self.entries if scalar.text == key), None)

    def key(self, key: str) -> Scalar | None:
        return next((scalar for scalar, _ in self.entries if scalar.text == key), None)

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        return ((scalar.text, node) for scalar, node in self.entries)


Node: TypeAlias = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """The node as plain Python data, variables filled in."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {key: plain(value) for key, value in node}


def unexpanded(node: Node) -> Any:
    """The node as plain data with `${…}` as it was written: what may go to a file or a screen."""
    match node:
        case Scalar():
            return node.value if node.written is None else node.written
        case Sequence():
            return [unexpanded(item) for item in node.items]
        case Mapping():
            return {key: unexpanded(value) for key, value in node}


def from_plain(value: Any, mark: Mark) -> Node:
    """Plain data as nodes that all stand at `mark`. Raises TypeError for anything that YAML can't say."""
    match value:
        case None | bool() | int() | float() | str():
            return Scalar("" if value is None else str(value), value, mark, quoted=isinstance(value, str))
        case list() | tuple():
            return Sequence(tuple(from_plain(item, mark) for item in value), mark)
        case dict():
            keyed = ((Scalar(str(key), str(key), mark), from_plain(item, mark)) for key, item in value.items())
            return Mapping(tuple(keyed), mark)
    raise TypeError(f"{type(value).__name__} has no place in a config")


def with_entry(mapping: Mapping, key: Scalar, node: Node) -> Mapping:
    """The mapping with `key` set to `node`, in its old place if it was there."""
    if mapping.get(key.text) is None:
        return replace(mapping, entries=(*mapping.entries, (key, node)))
    return replace(mapping, entries=tuple((k, node if k.text == key.text else v) for k, v in mapping.entries))
