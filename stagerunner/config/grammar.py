"""The grammar: the root node of a config → its parts, settings and run. No plugin is needed for that."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Table
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stagerunner.config.model import Config, PartConfig, Run
from stagerunner.config.names import stage_names
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence, is_null
from stagerunner.config.paths import expand_user
from stagerunner.config.readers import (
    InvalidValue,
    Location,
    Reader,
    mapping,
    path_node,
    read_table,
    refused,
    text,
    unset,
)
from stagerunner.config.settings import END_SETTINGS, RUN, STAGE_SETTINGS, settings
from stagerunner.config.wording import in_words, listed, shortened
from stagerunner.errors import Mark, Mistake


def read_root(root: Mapping, config: Config) -> Config:
    """The config with everything that `root` says; its mistakes are added to those of the config."""
    mistakes: list[Mistake] = []
    top = Location("", mistakes)
    values = read_table(root, _TOP, top)
    for key, fix in _REQUIRED.items():
        if root.get(key) is None:
            top.inside(key).add("missing-key", f"`{key}:` is missing", root.mark, fix)
    fields = {key: value for key, value in values.items() if key not in ("version", "vars", "run")}
    read = replace(config, root=root, run=_run(values.get("run", {}), config.base_of), **fields)
    _require_dead_letter(read, root, mistakes)
    return replace(read, mistakes=(*config.mistakes, *mistakes))


def _run(values: dict[str, Any], base_of: Callable[[Mark], Path]) -> Run:
    """The run mapping; the path of a journal comes with the folder that it is relative to."""
    engine, journal = values.pop("engine", {}), values.pop("journal", None)
    fields = {**values, **engine}
    if journal is not None:
        fields["journal"] = expand_user(journal.text)
        fields["journal_base"] = None if journal.text in ("auto", "off") else base_of(journal.mark)
    return Run(**fields)


def _require_dead_letter(config: Config, root: Mapping, mistakes: list[Mistake]) -> None:
    """`on_error: dead_letter` anywhere requires `dead_letter:`."""
    written = root.get("dead_letter")
    if written is not None and not is_null(written):
        return
    parts: list[PartConfig] = [part for part in (config.source, *config.stages, config.sink) if part]
    for part in parts:
        if part.settings.on_error == "dead_letter":
            location = Location(f"{part.path}.on_error", mistakes)
            message = "dead letters have nowhere to go: there is no `dead_letter:`"
            location.add("dead-letter", message, part.given["on_error"], "add `dead_letter: PATH` at the top level")


# Parts


_USE: dict[str, Reader] = {"use": path_node, "with": unset(mapping)}
_STAGE = _USE | STAGE_SETTINGS
_END = _USE | END_SETTINGS


def end_part(node: Node, location: Location) -> PartConfig | None:
    """The source or the sink. Without a `name` it is called "source" or "sink"."""
    return _part(node, location.path, _END, location)


def stage_parts(node: Node, location: Location) -> tuple[PartConfig, ...]:
    """The stages, with their names."""
    if not isinstance(node, Sequence):
        raise InvalidValue.expected("a list", node, "write `- use: NAME` for each; `stages: []` copies")
    _report_duplicate_names(node, location)
    named = zip(node.items, stage_names(node.items), strict=True)
    parts = [location.at(index).read(item, _stage(name)) for index, (item, name) in enumerate(named)]
    return tuple(part for part in parts if part is not None)


def _stage(name: str) -> Reader:
    return lambda node, location: _part(node, name, _STAGE, location)


def _part(node: Node, name: str, table: Table[str, Reader], location: Location) -> PartConfig | None:
    if isinstance(node, Scalar):
        use = path_node(node, location)
        return PartConfig(use, name, None, settings({}), {}, node.mark, location.path, bare=True)
    if not isinstance(node, Mapping):
        raise InvalidValue.expected("text or a mapping with `use:`", node)
    if node.get("use") is None:
        _report_missing_use(node, location)
        return None
    values = read_table(node, table, location, _misplaced(table))
    if "use" not in values:
        return None
    given = {key.text: key.mark for key, _ in node.entries if key.text in values and key.text not in _USE}
    return PartConfig(
        use=values["use"],
        name=values.get("name", name),
        options=values.get("with"),
        settings=settings(values),
        given=given,
        mark=node.mark,
        path=location.path,
    )


def _misplaced(table: Table[str, Reader]) -> str:
    takes = "" if table is _STAGE else f"it takes {listed(table)}; "
    return takes + "options stand under `with:`"


def _report_missing_use(node: Mapping, location: Location) -> None:
    """The part has no `use:`. If it has one key, that was probably meant, and the fix says so."""
    if len(node.entries) == 1 and node.entries[0][0].text not in _STAGE:
        key = node.entries[0][0]
        fix = f"write `use: {shortened(key.text)}`, and its options under `with:`"
        location.add("missing-key", "`use:` is missing", key.mark, fix)
    else:
        location.add("missing-key", "`use:` is missing", node.mark, "add `use: NAME`")


def _report_duplicate_names(stages: Sequence, location: Location) -> None:
    first: dict[str, Scalar] = {}
    for index, stage in enumerate(stages.items):
        name: Any = stage.get("name") if isinstance(stage, Mapping) else None
        if not isinstance(name, Scalar):
            continue
        before = first.setdefault(name.text, name)
        if before is not name:
            message = f"two stages are called '{shortened(name.text)}'"
            path = f"{location.path}[{index}].name"
            related = ((before.mark, "first one here"),)
            location.mistakes.append(Mistake("duplicate-name", message, name.mark, path, "second one here", related))


# The top level


def _version(node: Node, location: Location) -> int:
    if not isinstance(node, Scalar) or node.text != "1":
        raise InvalidValue(f"must be 1, not {in_words(node)}", "write version: 1", "version")
    return 1


def _plugins(node: Node, location: Location) -> tuple[Scalar, ...]:
    if not isinstance(node, Sequence):
        fix = f"write [{node.text}]" if isinstance(node, Scalar) and len(node.text) < 60 else ""
        raise InvalidValue.expected("a list", node, fix)
    read = [location.at(index).read(item, path_node) for index, item in enumerate(node.items)]
    return tuple(item for item in read if item is not None)


def _run_values(node: Node, location: Location) -> dict[str, Any]:
    return read_table(node, RUN, location)


_REQUIRED = {"version": "add `version: 1`", "stages": "add `stages:` and a list; `stages: []` copies"}
_TOP: dict[str, Reader] = {
    "version": _version,
    "name": unset(text),
    "description": unset(text),
    "vars": unset(mapping),
    "plugins": unset(_plugins),
    "source": unset(end_part),
    "stages": stage_parts,
    "sink": unset(end_part),
    "dead_letter": unset(path_node),
    "dropped": unset(path_node),
    "run": unset(_run_values),
    "tests": unset(refused("have no effect yet", "leave them out")),
}
