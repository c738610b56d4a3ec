"""A config given as Python data → nodes: a mapping as YAML would make it, in which a part may be the object itself.

There are no lines to point to. So the file of a mark is the path of its value, and its line counts the values in order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as Table
from typing import Any

from stagerunner.config.nodes import DEEPEST, MOST_NODES, Mapping, Node, Scalar, Sequence
from stagerunner.config.wording import shortened
from stagerunner.errors import Mark, Mistake
from stagerunner.parts.base import part_of

MAPPING = "<mapping>"
"""The file name of a config that was given as a mapping."""

_PART = r"(source|sink|(source|sinks|stages)\[\d+\])(\.use)?"
"""The paths at which a function or class may stand."""


def read_mapping(data: Table[Any, Any]) -> tuple[Mapping, list[Mistake]]:
    """The nodes of the data, and a mistake for everything that can't be in a config."""
    reading = _Reading()
    root = reading.mapping(data, "", 0)
    return root, reading.mistakes


class _Reading:
    """Turns data into nodes, with a mark for each, and collects mistakes."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._count = 0

    def node(self, value: Any, path: str, depth: int) -> Node:
        if depth > DEEPEST or self._count > MOST_NODES:
            return self._too_much(path, depth)
        match value:
            case Table():
                return self.mapping(value, path, depth)
            case list() | tuple():
                mark = self._mark(path)
                return Sequence(tuple(self.node(item, f"{path}[{n}]", depth + 1) for n, item in enumerate(value)), mark)
        return self._scalar(value, path)

    def mapping(self, value: Table[Any, Any], path: str, depth: int) -> Mapping:
        mark = self._mark(path)
        return Mapping(tuple(self._entry(key, item, path, depth) for key, item in value.items()), mark)

    def _entry(self, key: Any, item: Any, path: str, depth: int) -> tuple[Scalar, Node]:
        name = str.__str__(key) if isinstance(key, str) else repr(key)
        inside = f"{path}.{name}" if path else name
        mark = self._mark(inside)
        if not isinstance(key, str):
            message = f"a key must be text, not {shortened(name)} ({type(key).__name__})"
            self.mistakes.append(Mistake("type", message, mark, path))
        return Scalar(name, name, mark), self.node(item, inside, depth + 1)

    def _scalar(self, value: Any, path: str) -> Scalar:
        mark = self._mark(path)
        match value:
            case None | bool():
                return Scalar("" if value is None else str(value).lower(), value, mark)
            case str():
                text = str.__str__(value)  # of a text enum, the text
                return Scalar(text, text, mark, quoted=True)
            case os.PathLike():
                text = os.fsdecode(value)
                return Scalar(text, text, mark, quoted=True)
        if callable(value):
            return self._part(value, path, mark)
        for kind, asked in ((int, "__index__"), (float, "__float__")):  # NumPy's numbers too
            if hasattr(value, asked):
                number = kind(value)
                return Scalar(str(number), number, mark)
        return self._misplaced(f"a value of type {type(value).__name__} can't be in a config", mark, path)

    def _part(self, found: Any, path: str, mark: Mark) -> Scalar:
        offered = part_of(found)
        name = offered.name if offered else getattr(found, "__name__", type(found).__name__)
        if not re.fullmatch(_PART, path):
            return self._misplaced(f"'{name}' can't stand here: a function or class is a part, under `use`", mark, path)
        return Scalar(name, name, mark, quoted=True, given=found)

    def _misplaced(self, message: str, mark: Mark, path: str) -> Scalar:
        self.mistakes.append(Mistake("type", message, mark, path))
        return Scalar("", None, mark)

    def _too_much(self, path: str, depth: int) -> Scalar:
        mark = Mark(MAPPING, self._count, 0)
        if not any(mistake.code in ("too-deep", "too-large") for mistake in self.mistakes):
            deep = depth > DEEPEST
            message = f"is at most {DEEPEST} levels deep" if deep else f"has at most {MOST_NODES:,} values"
            place = mark if len(path) > 200 else mark._replace(file=path)
            self.mistakes.append(Mistake("too-deep" if deep else "too-large", f"a config {message}", place))
        return Scalar("", None, mark)

    def _mark(self, path: str) -> Mark:
        self._count += 1
        return Mark(path or MAPPING, self._count, 0)
