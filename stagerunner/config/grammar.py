"""The grammar: the root node of a config → its parts, settings and run. No plugin is needed for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as Table
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from stagerunner.config.model import Config, PartConfig, Run
from stagerunner.config.names import LISTS, part_names
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence, is_null
from stagerunner.config.other_words import our_word
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
from stagerunner.config.settings import RUN, SINK_SETTINGS, SOURCE_SETTINGS, STAGE_SETTINGS, settings
from stagerunner.config.wording import in_words, shortened
from stagerunner.errors import Mark, Mistake


def read_root(root: Mapping, config: Config) -> Config:
    """The config with everything that `root` says; its mistakes are added to those of the config."""
    mistakes: list[Mistake] = []
    top = Location("", mistakes)
    names = part_names(root)
    lists: dict[str, Reader] = {
        "stages": _list("stages", names, _STAGE, "write `- use: NAME` for each; `stages: []` copies"),
        "sinks": unset(_list("sinks", names, _SINK, "write `- use: NAME` for each")),
        "source": unset(_source(names)),
    }
    values = read_table(root, _TOP | lists, top)
    _report_duplicate_names(root, mistakes)
    sinks = _sinks(root, values.pop("sink", None), values.pop("sinks", None), top)
    for key, fix in _REQUIRED.items():
        if root.get(key) is None:
            top.inside(key).add("missing-key", f"`{key}:` is missing", root.mark, fix)
    fields = {key: value for key, value in values.items() if key not in ("version", "vars", "run", "source")}
    run, sources = _run(values.get("run", {}), config.base_of), values.get("source") or ()
    read = replace(config, root=root, run=run, sources=sources, sinks=sinks, **fields)
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
    for part in (*config.sources, *config.stages, *config.sinks):
        if part.settings.on_error == "dead_letter":
            location = Location(f"{part.path}.on_error", mistakes)
            message = "dead letters have nowhere to go: there is no `dead_letter:`"
            location.add("dead-letter", message, part.given["on_error"], "add `dead_letter: PATH` at the top level")


# Parts


_USE: dict[str, Reader] = {"use": path_node, "with": unset(mapping)}
_STAGE = _USE | STAGE_SETTINGS
_SOURCE = _USE | SOURCE_SETTINGS
_SINK = _USE | SINK_SETTINGS


def _end(table: Table[str, Reader]) -> Reader:
    """Reads the one sink. Without a `name` it is called "sink"."""
    return lambda node, location: _part(node, location.path, table, location)


def _list(key: str, names: Table[str, list[str]], table: Table[str, Reader], fix: str) -> Reader:
    """Reads the parts in the list under this key. names: as `part_names` gives them."""

    def read(node: Node, location: Location) -> tuple[PartConfig, ...]:
        if not isinstance(node, Sequence):
            raise InvalidValue.expected("a list", node, fix)
        if not node.items and key == "sinks":
            raise InvalidValue("is empty, so the results would go nowhere", "leave it out for standard output")
        named = zip(node.items, names[key], strict=True)
        parts = [location.at(index).read(item, _named(name, table)) for index, (item, name) in enumerate(named)]
        return tuple(part for part in parts if part is not None)

    return read


def _source(names: Table[str, list[str]]) -> Reader:
    """Reads the source: a part, or a list of parts."""

    def read(node: Node, location: Location) -> tuple[PartConfig, ...]:
        if not isinstance(node, Sequence):
            one = _part(node, location.path, _SOURCE, location)
            return () if one is None else (one,)
        if not node.items:
            raise InvalidValue("is empty, so there is nothing to read", "leave it out for standard input")
        parts: tuple[PartConfig, ...] = _list("source", names, _SOURCE, "")(node, location)
        return parts

    return read


def _named(name: str, table: Table[str, Reader]) -> Reader:
    return lambda node, location: _part(node, name, table, location)


def _sinks(
    root: Mapping, one: PartConfig | None, several: tuple[PartConfig, ...] | None, top: Location
) -> tuple[PartConfig, ...]:
    """The sinks of `sink:` or of `sinks:`. Both are a mistake."""
    single, listed = root.key("sink"), root.key("sinks")
    if one is not None and listed is not None and single is not None:
        message, fix = "`sink:` is there too, and a chain has one or the other", "put it into the list of `sinks:`"
        top.mistakes.append(
            Mistake("two-keys", message, listed.mark, "sinks", fix, ((single.mark, "`sink:` stands here"),))
        )
    return several or (() if one is None else (one,))


def _part(node: Node, name: str, table: Table[str, Reader], location: Location) -> PartConfig | None:
    if isinstance(node, Scalar):
        use = path_node(node, location)
        return PartConfig(use, name, None, settings({}), {}, node.mark, location.path, bare=True)
    if not isinstance(node, Mapping):
        raise InvalidValue.expected("text or a mapping with `use:`", node)
    if node.get("use") is None:
        _report_missing_use(node, location, table)
        return None
    values = read_table(node, table, location, "options stand under `with:`", brief=table is _STAGE)
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
        bare=any(key.mark == values["use"].mark for key, _ in node.entries),  # a string to which `--set` adds
    )


def _report_missing_use(node: Mapping, location: Location, table: Table[str, Reader]) -> None:
    """The part has no `use:`. The fix says what was probably meant by the keys that it has."""
    keys = {key.text: key for key, _ in node.entries}
    theirs = next((key for key in keys if our_word(key, ("use",))), "")
    value = node.get(theirs)
    if isinstance(value, Scalar):
        mark, fix = keys[theirs].mark, f"write `use: {shortened(value.text)}`, and its options under `with:`"
    elif table is not _STAGE and isinstance(path := node.get("path"), Scalar):
        mark, fix = (
            node.mark,
            f"write `{location.label}: {shortened(path.text)}`, or add `use: NAME`, and `path` under `with:`",
        )
    elif len(keys) == 1 and (key := node.entries[0][0]).text not in _STAGE:
        mark, fix = key.mark, f"write `use: {shortened(key.text)}`, and its options under `with:`"
    elif "name" in keys:
        mark, fix = node.mark, "add `use: NAME`; `name` is only what the chain calls it"
    else:
        mark, fix = node.mark, "add `use: NAME`"
    location.add("missing-key", "`use:` is missing", mark, fix)


def _report_duplicate_names(root: Mapping, mistakes: list[Mistake]) -> None:
    first: dict[str, tuple[str, Scalar]] = {}
    for key, index, name in _written_names(root):
        where, before = first.setdefault(name.text, (key, name))
        if before is not name:
            message = f"{_two(key, where)} are called '{shortened(name.text)}'"
            related = ((before.mark, "first one here"),)
            path = f"{key}[{index}].name"
            mistakes.append(Mistake("duplicate-name", message, name.mark, path, "second one here", related))


def _two(key: str, other: str) -> str:
    one = {"stages": "a stage", "sinks": "a sink", "source": "a part of the source"}
    if key != other:
        return f"{one[other]} and {one[key]}"
    return "two parts of the source" if key == "source" else f"two {key}"


def _written_names(root: Mapping) -> Iterator[tuple[str, int, Scalar]]:
    """The names that are written in lists: the list's key, the part's index there, and the name."""
    for key in LISTS:
        node = root.get(key)
        for index, part in enumerate(node.items if isinstance(node, Sequence) else ()):
            name: Any = part.get("name") if isinstance(part, Mapping) else None
            if isinstance(name, Scalar):
                yield key, index, name


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
    "sink": unset(_end(_SINK)),
    "dead_letter": unset(path_node),
    "dropped": unset(path_node),
    "run": unset(_run_values),
    "tests": unset(refused("have no effect yet", "leave them out")),
}
