"""Paths into a config: `run.frame`, `stages.parse.with.preset`, `stages.0.workers`."""

from __future__ import annotations

from msgspec.structs import replace

from stagerunner.config.names import stage_names
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence, with_entry
from stagerunner.config.options.wording import called, did_you_mean, listed, shortened

DEEPEST = 32


class NoSuchPlace(Exception):
    """The path leads nowhere."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


def put(root: Mapping, path: Scalar, value: Node) -> Mapping:
    """The root with `value` at the path; mappings on the way are made as needed. Raises NoSuchPlace."""
    names = path.text.split(".")
    if "" in names or len(names) > DEEPEST:
        raise NoSuchPlace(f"'{shortened(path.text)}' is no path", "write names with dots between: run.frame")
    changed = _put(root, names, 0, path, value)
    return changed if isinstance(changed, Mapping) else root


def _put(node: Node | None, names: list[str], depth: int, path: Scalar, value: Node) -> Node:
    """The node with the value put at what is left of the path from `depth` on."""
    if depth == len(names):
        return value
    before = ".".join(names[:depth])
    if isinstance(node, Scalar) and _is_part(names[:depth]) and node.value is not None:
        node = Mapping(((Scalar("use", "use", node.mark), node),), node.mark)
    if node is None or (isinstance(node, Scalar) and node.value is None):
        node = Mapping((), path.mark)
    if isinstance(node, Scalar):
        raise NoSuchPlace(f"'{shortened(before)}' is {called(node)}: there is nothing inside")
    if isinstance(node, Sequence):
        index = _index(node, names, depth)
        changed = _put(node.items[index], names, depth + 1, path, value)
        return replace(node, items=(*node.items[:index], changed, *node.items[index + 1 :]))
    name = names[depth]
    key = node.key(name) or Scalar(name, name, path.mark)
    return with_entry(node, key, _put(node.get(name), names, depth + 1, path, value))


def _is_part(names: list[str]) -> bool:
    """Whether a part stands there, which may be written as a bare string."""
    return names in (["source"], ["sink"], ["run", "engine"]) or (len(names) == 2 and names[0] == "stages")


def _index(node: Sequence, names: list[str], depth: int) -> int:
    """Which item is meant: by its number from 0, or, of stages, by its name."""
    name = names[depth]
    choices = stage_names(node.items) if names[:depth] == ["stages"] else []
    if name in choices:
        return choices.index(name)
    if name.isdecimal() and len(name) < 7 and int(name) < len(node.items):
        return int(name)
    if choices and not name.isdecimal():
        fix = did_you_mean(name, choices) or f"the stages are {shortened(listed(choices), 200)}"
        raise NoSuchPlace(f"no stage is called '{shortened(name)}'", fix)
    message = f"'{shortened('.'.join(names[:depth]))}' has no item {shortened(name)}"
    raise NoSuchPlace(message, f"its items are 0 to {len(node.items) - 1}" if node.items else "it is empty")
