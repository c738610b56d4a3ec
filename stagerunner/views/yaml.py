"""A resolved chain as YAML that people read: each value with its origin beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from stagerunner.views.resolved import Leaf, Tree

_BARE = re.compile(r"[A-Za-z_./$][\w./*+$~-]*|[0-9]+[A-Za-z]+")
_NOT_TEXT = frozenset(("null", "true", "false"))


def with_origins(tree: dict[str, Tree]) -> list[tuple[str, str]]:
    """(line, origin) for each line; the origin is "" where the line holds no value."""
    return list(_mapping(tree, ""))


def _mapping(tree: dict[str, Tree], indent: str, first: str | None = None) -> Iterator[tuple[str, str]]:
    lead = indent if first is None else first
    for key, value in tree.items():
        yield from _entry(f"{lead}{key}:", value, indent)
        lead = indent


def _entry(head: str, value: Tree, indent: str) -> Iterator[tuple[str, str]]:
    match value:
        case Leaf():
            yield f"{head} {scalar(value.value)}", value.origin
        case dict() if value:
            yield head, ""
            yield from _mapping(value, indent + "  ")
        case list() if _short(value):
            leaves = [item for item in value if isinstance(item, Leaf)]
            yield f"{head} [{', '.join(scalar(leaf.value) for leaf in leaves)}]", leaves[0].origin if leaves else ""
        case list():
            yield head, ""
            yield from (line for item in value for line in _item(item, indent + "  "))
        case _:
            yield f"{head} {{}}", ""


def _item(item: Tree, indent: str) -> Iterator[tuple[str, str]]:
    if isinstance(item, dict) and item:
        yield from _mapping(item, indent + "  ", f"{indent}- ")
    else:
        yield from _entry(f"{indent}-", item, indent)


def _short(items: list[Tree]) -> bool:
    """Whether a list fits on one line: single values of one origin."""
    return all(isinstance(item, Leaf) for item in items) and len({i.origin for i in items if isinstance(i, Leaf)}) < 2


def scalar(value: Any) -> str:
    """A single value as YAML; text is quoted unless it is plainly text."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def plain(tree: Tree) -> Any:
    """The values alone."""
    match tree:
        case Leaf():
            return tree.value
        case dict():
            return {key: plain(value) for key, value in tree.items()}
        case list():
            return [plain(item) for item in tree]


def origins(tree: Tree, path: str = "") -> dict[str, str]:
    """Path → origin of every value: "stages[1].with.salt"."""
    match tree:
        case Leaf():
            return {path: tree.origin}
        case dict():
            pairs = [(f"{path}.{key}" if path else key, value) for key, value in tree.items()]
        case list():
            pairs = [(f"{path}[{index}]", value) for index, value in enumerate(tree)]
    return {place: origin for inner, value in pairs for place, origin in origins(value, inner).items()}
