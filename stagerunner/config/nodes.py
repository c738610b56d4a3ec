"""Nodes: a config's values, each with its mark. Text is kept as written until its type is known."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.errors import Mark

DEEPEST = 64
"""Levels of lists and mappings."""
MOST_NODES = 100_000


class Scalar(Struct, frozen=True):
    """One value.

    text: as written. value: what YAML 1.2 makes of it (None, bool, int, float or str). quoted: text, whatever it looks
    like. written: the text before variables were filled in; None if it has none. secret: one of them was a secret.
    masked: its value must not be shown. given: the function or class itself, in a config that is Python data; `text` is
    then its name.
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
    """Keys (text scalars) and their nodes, in the order written, each key once."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        return next((node for scalar, node in self.entries if scalar.text == key), None)

    def key(self, key: str) -> Scalar | None:
        return next((scalar for scalar, _ in self.entries if scalar.text == key), None)

    def __iter__(self) -> Iterator[tuple[str, Node]]:
        return ((scalar.text, node) for scalar, node in self.entries)


Node: TypeAlias = Scalar | Sequence | Mapping


def reached(node: Node, way: Iterable[str | int]) -> tuple[Node, str]:
    """What is written at the end of this way, and its path; if it isn't written, the last on the way that is."""
    path = ""
    for step in way:
        inner: Node | None = None
        if isinstance(step, str) and isinstance(node, Mapping):
            inner = node.get(step)
        elif isinstance(step, int) and isinstance(node, Sequence):
            inner = node.items[step] if step < len(node.items) else None
        if inner is None:
            break
        node, path = inner, f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}".lstrip(".")
    return node, path


def is_null(node: Node) -> bool:
    """Whether it is null: an empty value, `~` or `null`, without quotes."""
    return isinstance(node, Scalar) and node.value is None and not node.quoted


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


def from_plain(value: Any, mark: Mark, depth: int = 0) -> Node:
    """Plain data as nodes that all have the mark `mark`; a path is text.

    Raises TypeError for anything that YAML can't express, ValueError for data that is nested too deep, or in itself.
    """
    if depth > DEEPEST:
        raise ValueError("it is nested too deep")
    match value:
        case None | bool() | int() | float() | str():
            return Scalar("" if value is None else str(value), value, mark, quoted=isinstance(value, str))
        case os.PathLike():
            return from_plain(os.fspath(value), mark, depth)
        case list() | tuple():
            return Sequence(tuple(from_plain(item, mark, depth + 1) for item in value), mark)
        case dict():
            items = ((str(key), from_plain(item, mark, depth + 1)) for key, item in value.items())
            return Mapping(tuple((Scalar(key, key, mark), node) for key, node in items), mark)
    raise TypeError(f"{type(value).__name__} can't be in a config")


def with_entry(mapping: Mapping, key: Scalar, node: Node) -> Mapping:
    """The mapping with `key` set to `node`; a key that exists keeps its place in the order."""
    if mapping.get(key.text) is None:
        return replace(mapping, entries=(*mapping.entries, (key, node)))
    return replace(mapping, entries=tuple((k, node if k.text == key.text else v) for k, v in mapping.entries))
