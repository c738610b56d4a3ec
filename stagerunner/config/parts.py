"""Sources, stages and sinks as they stand in the file."""

from __future__ import annotations

from collections.abc import Mapping as Table
from typing import Any

from stagerunner.config.model import PartConfig
from stagerunner.config.names import stage_names
from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence
from stagerunner.config.options.wording import called, listed, shortened
from stagerunner.config.reading import Place, Reader, Wrong, mapping, path_node, read_table, unset
from stagerunner.config.settings import END_SETTINGS, STAGE_SETTINGS, settings
from stagerunner.errors import Mistake

_USE: dict[str, Reader] = {"use": path_node, "with": unset(mapping)}
_STAGE = _USE | STAGE_SETTINGS
_END = _USE | END_SETTINGS


def end_part(node: Node, place: Place) -> PartConfig | None:
    """The source or the sink; its name is its place unless it has one."""
    return _part(node, place.path, _END, place)


def stage_parts(node: Node, place: Place) -> tuple[PartConfig, ...]:
    """The stages, each with its name."""
    if not isinstance(node, Sequence):
        raise Wrong(f"must be a list, not {called(node)}", "write `- use: NAME` for each; `stages: []` copies")
    _reject_doubled_names(node, place)
    named = zip(node.items, stage_names(node.items), strict=True)
    parts = [place.at(index).read(item, _stage(name)) for index, (item, name) in enumerate(named)]
    return tuple(part for part in parts if part is not None)


def _stage(name: str) -> Reader:
    return lambda node, place: _part(node, name, _STAGE, place)


def _part(node: Node, name: str, table: Table[str, Reader], place: Place) -> PartConfig | None:
    if isinstance(node, Scalar):
        use = path_node(node, place)
        return PartConfig(use, name, None, settings({}), {}, node.mark, place.path, bare=True)
    if not isinstance(node, Mapping):
        raise Wrong(f"must be text or a mapping with `use:`, not {called(node)}")
    if node.get("use") is None:
        _complain_of_no_use(node, place)
        return None
    values = read_table(node, table, place, _misplaced(table))
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
        path=place.path,
    )


def _misplaced(table: Table[str, Reader]) -> str:
    takes = "" if table is _STAGE else f"it takes {listed(table)}; "
    return takes + "options stand under `with:`"


def _complain_of_no_use(node: Mapping, place: Place) -> None:
    """The part has no `use:`; where its only key may be what was meant, that is said."""
    if len(node.entries) == 1 and node.entries[0][0].text not in _STAGE:
        key = node.entries[0][0]
        fix = f"write `use: {shortened(key.text)}`, and its options under `with:`"
        place.add("missing-key", "`use:` is missing", key.mark, fix)
    else:
        place.add("missing-key", "`use:` is missing", node.mark, "add `use: NAME`")


def _reject_doubled_names(stages: Sequence, place: Place) -> None:
    first: dict[str, Scalar] = {}
    for index, stage in enumerate(stages.items):
        name: Any = stage.get("name") if isinstance(stage, Mapping) else None
        if not isinstance(name, Scalar):
            continue
        before = first.setdefault(name.text, name)
        if before is not name:
            message = f"two stages are called '{shortened(name.text)}'"
            path = f"{place.path}[{index}].name"
            related = ((before.mark, "first one here"),)
            place.mistakes.append(Mistake("duplicate-name", message, name.mark, path, "second one here", related))
