"""The root of a config → its parts, settings and run: what the file says, without knowing any plugin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stagerunner.config.model import Config, PartConfig, Run
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence
from stagerunner.config.options.paths import at_home
from stagerunner.config.options.wording import called
from stagerunner.config.parts import end_part, stage_parts
from stagerunner.config.reading import (
    Place,
    Reader,
    Wrong,
    is_null,
    mapping,
    path_node,
    read_table,
    refused,
    text,
    unset,
)
from stagerunner.config.settings import RUN
from stagerunner.errors import Mark, Mistake


def read_root(root: Mapping, config: Config) -> Config:
    """The config with everything that `root` says, its mistakes added to those there are."""
    mistakes: list[Mistake] = []
    top = Place("", mistakes)
    values = read_table(root, _TOP, top)
    for key, fix in _REQUIRED.items():
        if root.get(key) is None:
            top.inside(key).add("missing-key", f"`{key}:` is missing", root.mark, fix)
    said = {key: value for key, value in values.items() if key not in ("version", "vars", "run")}
    filled = replace(config, root=root, run=_run(values.get("run", {}), config.base_of), **said)
    _demand_dead_letter(filled, root, mistakes)
    return replace(filled, mistakes=(*config.mistakes, *mistakes))


def _version(node: Node, place: Place) -> int:
    if not isinstance(node, Scalar) or node.text != "1":
        raise Wrong(f"must be 1, not {called(node)}", "write version: 1", "version")
    return 1


def _plugins(node: Node, place: Place) -> tuple[Scalar, ...]:
    if not isinstance(node, Sequence):
        fix = f"write [{node.text}]" if isinstance(node, Scalar) and len(node.text) < 60 else ""
        raise Wrong(f"must be a list, not {called(node)}", fix)
    read = [place.at(index).read(item, path_node) for index, item in enumerate(node.items)]
    return tuple(item for item in read if item is not None)


def _run_values(node: Node, place: Place) -> dict[str, Any]:
    return read_table(node, RUN, place)


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
    "run": unset(_run_values),
    "tests": unset(refused("have no effect yet", "leave them out")),
}


def _run(values: dict[str, Any], base_of: Callable[[Mark], Path]) -> Run:
    """The run mapping; a journal's path comes with the folder it stands against."""
    engine, journal = values.pop("engine", {}), values.pop("journal", None)
    fields = {**values, **engine}
    if journal is not None:
        fields["journal"] = at_home(journal.text)
        fields["journal_base"] = None if journal.text in ("auto", "off") else base_of(journal.mark)
    return Run(**fields)


def _demand_dead_letter(config: Config, root: Mapping, mistakes: list[Mistake]) -> None:
    """`on_error: dead_letter` anywhere asks for the file they go to."""
    written = root.get("dead_letter")
    if written is not None and not is_null(written):
        return
    parts: list[PartConfig] = [part for part in (config.source, *config.stages, config.sink) if part]
    for part in parts:
        if part.settings.on_error == "dead_letter":
            place = Place(f"{part.path}.on_error", mistakes)
            message = "dead letters have nowhere to go: there is no `dead_letter:`"
            place.add("dead-letter", message, part.given["on_error"], "add `dead_letter: PATH` at the top level")
