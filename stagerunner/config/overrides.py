"""What the command line or the Python API says over the file: `--set PATH=VALUE`, `--var NAME=VALUE`, `-i`, `-o`.

Each becomes nodes with marks of their own ("--set", "-i" …) that are put into the tree before variables are filled in
and the grammar is read, so that they are checked like everything else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as Table
from collections.abc import Sequence as List
from typing import Any

from msgspec import Struct

from stagerunner.config.nodes import Mapping, Node, Scalar, from_plain, with_entry
from stagerunner.config.options.wording import did_you_mean, shortened
from stagerunner.config.paths import NoSuchPlace, put
from stagerunner.config.yaml12 import read_yaml
from stagerunner.errors import Mark, Mistake

Given = List[str] | Table[str, object]
"""Texts of the form NAME=VALUE from the command line, or plain data by name from Python."""

_PART_WITH_OPTIONS = r"(?P<use>[^=]+?):(?=[A-Za-z_][A-Za-z0-9_]*=)"
_BETWEEN_OPTIONS = r",(?=[A-Za-z_][A-Za-z0-9_]*=)"


class Override(Struct, frozen=True):
    """One of them: the name or path as a scalar at its place, and the value."""

    key: Scalar
    value: Node


def read_overrides(given: Given, flag: str, mistakes: list[Mistake]) -> list[Override]:
    """The overrides in order; what can't be read is left out, and a mistake.

    flag: "set" or "var". Marks say `--set` or `--var` for texts, `set` or `vars` for plain data.
    """
    if isinstance(given, Table):
        file = "vars" if flag == "var" else flag
        read = [_from_python(str(key), value, file, mistakes) for key, value in given.items()]
    else:
        read = [from_argument(text, f"--{flag}", mistakes) for text in given]
    return [override for override in read if override]


def from_argument(text: str, file: str, mistakes: list[Mistake], lead: str = "", whole: str = "") -> Override | None:
    """`NAME=VALUE`, the value being YAML. lead: what stands before it in the argument; whole: all of the argument."""
    name, equals, value = text.partition("=")
    line = (whole or text).partition("\n")[0]
    mark = Mark(file, 1, len(lead) + 1, line, max(1, len(name)))
    if not equals or not name:
        mistakes.append(Mistake("override", f"{file} wants NAME=VALUE", mark, fix=f"write {file} NAME=VALUE"))
        return None
    key = Scalar(name, name, mark)
    if not value.strip():
        return Override(key, Scalar("", None, Mark(file, 1, len(lead + text) + 1, line)))
    node, wrong = read_yaml(value, file, lead=f"{lead}{name}=", whole=whole)
    mistakes += wrong
    return Override(key, node) if node is not None else None


def _from_python(name: str, value: object, file: str, mistakes: list[Mistake]) -> Override | None:
    try:
        line = f"{name}={value!r}"
        place = Mark(file, 1, len(name) + 2, line, len(line) - len(name) - 1)
        return Override(Scalar(name, name, Mark(file, 1, 1, line, max(1, len(name)))), from_plain(_plain(value), place))
    except (TypeError, ValueError, RecursionError) as error:
        mark = Mark(file, 1, 1, name, max(1, len(name)))
        mistakes.append(Mistake("override", f"'{shortened(name)}' can't be set: {error}", mark))
        return None


def _plain(value: Any, depth: int = 0) -> Any:
    """Plain data, paths as text. Raises ValueError where it is nested too deep (or in itself)."""
    if depth > 64:
        raise ValueError("it is nested too deep")
    match value:
        case os.PathLike():
            return os.fspath(value)
        case dict():
            return {key: _plain(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, depth + 1) for item in value]
    return value


def set_variables(root: Mapping, overrides: List[Override], mistakes: list[Mistake]) -> Mapping:
    """The root with these values for variables it declares."""
    key, declared = root.key("vars"), root.get("vars")
    known = declared if isinstance(declared, Mapping) else Mapping((), root.mark)
    for override in overrides:
        name = override.key.text
        if known.get(name) is None:
            fix = did_you_mean(name, [one for one, _ in known]) or "only what the file's `vars:` declares can be given"
            message = f"the file has no variable '{shortened(name)}'"
            mistakes.append(Mistake("unknown-variable", message, override.key.mark, f"vars.{name}", fix))
        else:
            known = with_entry(known, override.key, override.value)
    return with_entry(root, key, known) if key and known.entries else root


def set_paths(root: Mapping, overrides: List[Override], mistakes: list[Mistake]) -> Mapping:
    """The root with these values at their paths, one after the other."""
    for override in overrides:
        try:
            root = put(root, override.key, override.value)
        except NoSuchPlace as error:
            mark = override.key.mark
            mistakes.append(Mistake("unknown-path", str(error), mark, override.key.text, error.fix))
    return root


def replace_end(root: Mapping, key: str, argument: str, flag: str, mistakes: list[Mistake]) -> Mapping:
    """The root with its source or sink taken from `-i` or `-o`: `PATH`, `NAME`, or `NAME:key=value,key=value`."""
    mark = Mark(flag, 1, 1, argument.partition("\n")[0], max(1, len(argument.partition("\n")[0])))
    found = re.match(_PART_WITH_OPTIONS, argument)
    node: Node = Scalar(argument, argument, mark, quoted=True)
    if found:
        node = _part_with_options(argument, found["use"], mark, mistakes)
    return with_entry(root, Scalar(key, key, mark), node)


def _part_with_options(argument: str, use: str, mark: Mark, mistakes: list[Mistake]) -> Mapping:
    entries: list[tuple[Scalar, Node]] = []
    start = len(use) + 1
    for option in re.split(_BETWEEN_OPTIONS, argument[start:]):
        override = from_argument(option, mark.file, mistakes, argument[:start], argument)
        start += len(option) + 1
        if override and any(key.text == override.key.text for key, _ in entries):
            message = f"key '{shortened(override.key.text)}' given twice"
            mistakes.append(Mistake("duplicate-key", message, override.key.mark, fix="second one here"))
        elif override:
            entries.append((override.key, override.value))
    named = Scalar(use, use, Mark(mark.file, 1, 1, mark.text, len(use)), quoted=True)
    parts: list[tuple[Scalar, Node]] = [(Scalar("use", "use", mark), named)]
    return Mapping((*parts, (Scalar("with", "with", mark), Mapping(tuple(entries), mark))), mark)
