"""A chain as it will run, each value with its origin: what `show` prints. Secrets and environment values are `***`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct

from stagerunner.config.model import Config, PartConfig, Retry, Run, Settings
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence
from stagerunner.config.options import options_of
from stagerunner.config.variables import as_written
from stagerunner.errors import Mark
from stagerunner.plan import Plan, PlannedPart, PlannedStage
from stagerunner.plan.values import MASK

DEFAULT = "default"


class Leaf(Struct, frozen=True):
    """A value and its origin: "default", "chain.yaml:7", "--set", with the variable it was written as."""

    value: Any
    origin: str


Tree: TypeAlias = "Leaf | dict[str, Tree] | list[Tree]"


def resolved(config: Config, plan: Plan) -> dict[str, Tree]:
    """The whole config, in the order of the grammar."""
    root = config.root
    tree: dict[str, Tree] = {
        "version": Leaf(1, _origin(root, "version")),
        "name": _name(root, config.name),
        **{key: node_tree(node) for key in ("description", "vars", "plugins") if (node := root.get(key)) is not None},
    }
    sources = [_end(root, *both) for both in zip(config.sources, plan.sources, strict=False)]
    if any(part.listed for part in config.sources):
        tree["source"] = sources
    elif plan.sources:
        tree["source"] = sources[0] if sources else _end(root, None, plan.sources[0])
    tree["stages"] = [_stage(root, part, planned) for part, planned in zip(config.stages, plan.stages, strict=True)]
    sinks = [_end(root, *both) for both in itertools.zip_longest(config.sinks, plan.sinks)] if plan.sinks else []
    if any(sink.listed for sink in config.sinks):
        tree["sinks"] = sinks
    elif sinks:
        tree["sink"] = sinks[0]
    letters = {"dead_letter": config.dead_letter, "dropped": config.dropped}
    tree |= {key: node_tree(node) for key, node in letters.items() if node is not None}
    tree["run"] = _run(root, plan)
    return tree


def node_tree(node: Node) -> Tree:
    """A node as it may be shown."""
    match node:
        case Scalar():
            value = as_written(node.value) if isinstance(node.value, str) else node.value
            value = MASK if node.secret or node.masked else value
            via = f", from {node.written}" if node.written else ""
            return Leaf(value, f"{place(node.mark)}{via}")
        case Sequence():
            return [node_tree(item) for item in node.items]
        case Mapping():
            return {key: node_tree(value) for key, value in node}


def place(mark: Mark) -> str:
    """ "chain.yaml:7", or the flag of the command line."""
    return mark.file if mark.file.startswith("-") else f"{mark.file}:{mark.line}"


def _stage(root: Mapping, part: PartConfig, planned: PlannedStage) -> Tree:
    node = _at(root, part.path)
    named = _name(node, planned.name)

    form, hidden = planned.work.form, {"max_errors", "max_memory", "resources", "env", "memo", "budget"}
    hidden |= {"batch"} if not form.batch else set()
    hidden |= {"concurrency", "rate"} if not form.awaited else set()
    settings = set(Settings.__struct_fields__) - hidden
    return {
        "use": Leaf(planned.use, place(part.use.mark)),
        "name": named,
        **_options(part, planned.part.found, planned.shown),
        **_settings(node, part, settings),
    }


def _end(root: Mapping, part: PartConfig | None, planned: PlannedPart) -> Tree:
    if part is None:
        return {"use": Leaf(planned.part.name, DEFAULT)}
    origin = place(part.use.mark) + (f", from {part.use.text}" if part.bare and part.use.text != planned.use else "")
    return {
        "use": Leaf(planned.part.name, origin),
        **({"name": _name(_at(root, part.path), planned.name)} if part.listed else {}),
        **_options(part, planned.part.found, planned.shown),
        **_settings(_at(root, part.path), part, {"on_error"}),
    }


def _options(part: PartConfig, found: Any, shown: dict[str, Any]) -> dict[str, Tree]:
    """The options under `with`, and the defaults of the others."""
    given: dict[str, Tree] = {key: Leaf(value, place(part.use.mark)) for key, value in shown.items()}
    if part.options is not None:
        given |= {key: node_tree(node) for key, node in part.options}
    left_out = (option for option in options_of(found) if option.name not in given and not option.required)
    options = {**given, **{option.name: Leaf(_plain(option.default), DEFAULT) for option in left_out}}
    return {"with": options} if options else {}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _settings(node: Node | None, part: PartConfig, names: set[str]) -> dict[str, Tree]:
    """The settings that are written, then the defaults of the others in `names`, except None."""
    nodes = {key: node.get(key) for key in part.given} if isinstance(node, Mapping) else {}
    given = {key: node_tree(value) for key, value in nodes.items() if value is not None and key != "name"}
    return given | dict(_defaults(part.settings, names - set(given)))


def _run(root: Mapping, plan: Plan) -> dict[str, Tree]:
    node = root.get("run")
    given: dict[str, Tree] = {}
    if isinstance(node, Mapping):
        given = {key: node_tree(value) for key, value in node}
    chosen = given.get("engine")
    if not isinstance(chosen, dict) and (not isinstance(chosen, Leaf) or chosen.value != plan.run.engine):
        given["engine"] = Leaf(plan.run.engine, DEFAULT if plan.run.engine == Run().engine else "--engine")
    names = set(Run.__struct_fields__) - {"engine_options", "engine_mark", "journal_base"}
    return given | dict(_defaults(plan.run, names - set(given)))


def _defaults(settings: Settings | Run, names: set[str]) -> Iterator[tuple[str, Tree]]:
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name in names and value is not None:
            yield name, Leaf(written(name, value), DEFAULT)


def _name(node: Node | None, default: str) -> Tree:
    found = node.get("name") if isinstance(node, Mapping) else None
    return Leaf(default, DEFAULT) if found is None else node_tree(found)


def _origin(root: Mapping, key: str) -> str:
    node = root.get(key)
    return DEFAULT if node is None else place(node.mark)


def _at(root: Mapping, path: str) -> Node | None:
    """The node at "source", "stages[1]" or "sinks[0]"."""
    key, bracket, index = path.partition("[")
    node = root.get(key)
    if not bracket or not isinstance(node, Sequence):
        return node
    return node.items[int(index.rstrip("]"))]


# Quantities


_DURATIONS = frozenset(("timeout", "start_timeout", "linger", "grace", "checkpoint", "delay", "max"))
_SIZES = frozenset(("window", "max_record", "max_growth", "max_memory"))


def written(name: str, value: Any) -> Any:
    """The value of the setting `name` as it is written in a config."""
    if isinstance(value, Retry):
        return value.attempts
    if name in _DURATIONS:
        return f"{value:g}s" if value >= 1 or not value else f"{value * 1000:g}ms"
    if name in _SIZES:
        return size(value)
    return value


def size(value: int) -> str:
    """Bytes in the largest unit that divides them."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if value and value % 1024**power == 0:
            return f"{value // 1024**power}{unit}"
    return f"{value}B"


# As YAML and as JSON


_BARE = re.compile(r"[A-Za-z_./$][\w./*+$~-]*|[0-9]+[A-Za-z]+")
_NOT_TEXT = frozenset(("null", "true", "false"))


def yaml_lines(tree: dict[str, Tree]) -> list[tuple[str, str]]:
    """The chain as YAML: (line, origin) for each line; the origin is "" if the line holds no value."""
    return list(_mapping(tree, ""))


def _mapping(tree: dict[str, Tree], indent: str, first: str | None = None) -> Iterator[tuple[str, str]]:
    lead = indent if first is None else first
    for key, value in tree.items():
        yield from _entry(f"{lead}{key}:", value, indent)
        lead = indent


def _entry(head: str, value: Tree, indent: str) -> Iterator[tuple[str, str]]:
    match value:
        case Leaf():
            yield f"{head} {yaml_scalar(value.value)}", value.origin
        case dict() if value:
            yield head, ""
            yield from _mapping(value, indent + "  ")
        case list() if _short(value):
            leaves = [item for item in value if isinstance(item, Leaf)]
            yield (
                f"{head} [{', '.join(yaml_scalar(leaf.value) for leaf in leaves)}]",
                leaves[0].origin if leaves else "",
            )
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


def yaml_scalar(value: Any) -> str:
    """A single value as YAML; text that could be read as something else is quoted."""
    if isinstance(value, str) and _BARE.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def values_of(tree: Tree) -> Any:
    """The tree without origins."""
    match tree:
        case Leaf():
            return tree.value
        case dict():
            return {key: values_of(value) for key, value in tree.items()}
        case list():
            return [values_of(item) for item in tree]


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
