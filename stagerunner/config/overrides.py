"""Values from the command line or the Python API: `--set PATH=VALUE`, `--var NAME=VALUE`, `-i`, `-o`.

Each becomes nodes with marks of their own ("--set", "-i" …). They replace nodes of the file before variables are filled
in and the grammar is read, so they are checked like everything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Table
from collections.abc import Sequence as List

from msgspec import Struct
from msgspec.structs import replace

from stagerunner.config.names import LISTS, part_names
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence, from_plain, with_entry
from stagerunner.config.wording import did_you_mean, in_words, listed, shortened
from stagerunner.config.yaml12 import read_yaml
from stagerunner.errors import Mark, Mistake

Given = List[str] | Table[str, object]
"""Texts of the form NAME=VALUE from the command line, or plain data by name from Python."""

_PART_WITH_OPTIONS = r"(?P<use>[^=]+?):(?=[A-Za-z_][A-Za-z0-9_]*=)"
_BETWEEN_OPTIONS = r",(?=[A-Za-z_][A-Za-z0-9_]*=)"

LONGEST_PATH = 32
"""Names in a path of `--set`."""


class Override(Struct, frozen=True):
    """A name or path, and the value to set there."""

    key: Scalar
    value: Node


def read_overrides(given: Given, flag: str, mistakes: list[Mistake]) -> list[Override]:
    """The overrides in order. One that can't be read is left out and reported.

    flag: "set" or "var". Marks say `--set` or `--var` for texts, `set` or `vars` for plain data.
    """
    if isinstance(given, Table):
        file = "vars" if flag == "var" else flag
        read = [_from_python(str(key), value, file, mistakes) for key, value in given.items()]
    else:
        read = [from_argument(text, f"--{flag}", mistakes) for text in given]
    return [override for override in read if override]


def from_argument(text: str, file: str, mistakes: list[Mistake], lead: str = "", whole: str = "") -> Override | None:
    """The override in `NAME=VALUE`; the value is YAML, but `-` and `*.gz` are texts.

    lead: what precedes it in the argument; whole: the argument.
    """
    name, equals, value = text.partition("=")
    line = (whole or text).partition("\n")[0]
    mark = Mark(file, 1, len(lead) + 1, line, max(1, len(name)))
    if not equals or not name:
        mistakes.append(Mistake("override", f"{file} wants NAME=VALUE", mark, fix=f"write {file} NAME=VALUE"))
        return None
    key = Scalar(name, name, mark)
    if not value.strip():
        return Override(key, Scalar("", None, Mark(file, 1, len(lead + text) + 1, line)))
    if value == "-" or value.startswith("*"):  # to YAML the beginning of a list, and an alias
        return Override(key, Scalar(value, value, Mark(file, 1, len(lead) + len(name) + 2, line), quoted=True))
    node, wrong = read_yaml(value, file, lead=f"{lead}{name}=", whole=whole)
    mistakes += wrong
    return Override(key, node) if node is not None else None


def _from_python(name: str, value: object, file: str, mistakes: list[Mistake]) -> Override | None:
    try:
        line = f"{name}={value!r}"
        place = Mark(file, 1, len(name) + 2, line, len(line) - len(name) - 1)
        return Override(Scalar(name, name, Mark(file, 1, 1, line, max(1, len(name)))), from_plain(value, place))
    except (TypeError, ValueError, RecursionError) as error:
        mark = Mark(file, 1, 1, name, max(1, len(name)))
        mistakes.append(Mistake("override", f"'{shortened(name)}' can't be set: {error}", mark))
        return None


def set_variables(root: Mapping, overrides: List[Override], mistakes: list[Mistake]) -> Mapping:
    """The root with these values for variables that it declares."""
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
    """The root with each value put at its path, in order."""
    for override in overrides:
        try:
            root = put(root, override.key, override.value)
        except NoSuchPath as error:
            mark = override.key.mark
            mistakes.append(Mistake("unknown-path", str(error), mark, override.key.text, error.fix))
    return root


def replace_end(root: Mapping, key: str, argument: str, flag: str, mistakes: list[Mistake]) -> Mapping:
    """The root with its source or sink replaced by that of `-i` or `-o`: `PATH`, `NAME` or `NAME:key=value,…`."""
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


# Paths into a config: `run.frame`, `stages.parse.with.preset`, `stages.0.workers`


class NoSuchPath(Exception):
    """There is nothing at this path, and nothing can be put there."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


def put(root: Mapping, path: Scalar, value: Node) -> Mapping:
    """The root with `value` at the path; missing mappings on the way are added. Raises NoSuchPath."""
    names = path.text.split(".")
    if "" in names or len(names) > LONGEST_PATH:
        raise NoSuchPath(f"'{shortened(path.text)}' isn't a path", "write names with dots between them: run.frame")
    changed = _put(root, names, 0, path, value, part_names(root))
    return changed if isinstance(changed, Mapping) else root


def _put(
    node: Node | None, names: list[str], depth: int, path: Scalar, value: Node, parts: Table[str, list[str]]
) -> Node:
    """The node with `value` at the rest of the path, `names[depth:]`. parts: the names of the parts in lists."""
    if depth == len(names):
        return value
    before = ".".join(names[:depth])
    if isinstance(node, Scalar) and _is_part(names[:depth]) and node.value is not None:
        node = Mapping(((Scalar("use", "use", node.mark), node),), node.mark)
    if node is None or (isinstance(node, Scalar) and node.value is None):
        node = Mapping((), path.mark)
    if isinstance(node, Scalar):
        raise NoSuchPath(f"'{shortened(before)}' is {in_words(node)}: there is nothing inside")
    if isinstance(node, Sequence):
        index = _index(node, names, depth, parts)
        changed = _put(node.items[index], names, depth + 1, path, value, parts)
        return replace(node, items=(*node.items[:index], changed, *node.items[index + 1 :]))
    name = names[depth]
    key = node.key(name) or Scalar(name, name, path.mark)
    return with_entry(node, key, _put(node.get(name), names, depth + 1, path, value, parts))


def _is_part(names: list[str]) -> bool:
    """Whether there is a part at this path, which may be written as a bare string."""
    listed = len(names) == 2 and names[0] in LISTS and names[1] not in ("use", "with", "name", "on_error", "retry")
    return listed or names in (["source"], ["sink"], ["run", "engine"])


def _index(node: Sequence, names: list[str], depth: int, parts: Table[str, list[str]]) -> int:
    """The item meant: its number from 0 or, of stages and sinks, its name."""
    name = names[depth]
    choices = parts.get(names[0], []) if depth == 1 else []
    if name in choices:
        return choices.index(name)
    if name.isdecimal() and len(name) < 7 and int(name) < len(node.items):
        return int(name)
    if choices and not name.isdecimal():
        kind, kinds = ("part", "parts") if names[0] == "source" else (names[0][:-1], names[0])
        fix = did_you_mean(name, choices) or f"the {kinds} are {shortened(listed(choices), 200)}"
        raise NoSuchPath(f"no {kind} is called '{shortened(name)}'", fix)
    message = f"'{shortened('.'.join(names[:depth]))}' has no item {shortened(name)}"
    raise NoSuchPath(message, f"its items are 0 to {len(node.items) - 1}" if node.items else "it is empty")
