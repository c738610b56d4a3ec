"""The settings of a part and of the run: name → type, as tables of readers."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stagerunner.config.model import Retry, Settings
from stagerunner.config.names import PATTERN
from stagerunner.config.nodes import Mapping, Node, Scalar
from stagerunner.config.options.wording import called
from stagerunner.config.reading import (
    Place,
    Reader,
    Wrong,
    above_zero,
    bytes_size,
    calls,
    choice,
    duration,
    mapping,
    number,
    path_node,
    read_table,
    refused,
    text,
    unset,
    whole,
)


def name(node: Node, place: Place) -> str:
    """A name as it stands in tables and after `--set`."""
    found = text(node, place)
    if not PATTERN.fullmatch(found):
        raise Wrong(f"must be small letters, digits and dashes, not {called(node)}")
    return found


def retry(node: Node, place: Place) -> Retry:
    """The attempts alone, or all of it."""
    if isinstance(node, Scalar):
        return Retry(attempts=whole()(node, place))
    values = read_table(node, RETRY, place)
    if values and isinstance(node, Mapping) and node.get("attempts") is None:
        fix = "add `attempts:`, 2 or more"
        raise Wrong("says nothing of `attempts`, and without that nothing is tried again", fix, "missing-key")
    return replace(Retry(), **values)


def environment(node: Node, place: Place) -> tuple[tuple[str, str], ...]:
    """Names and texts for the environment of a process."""
    found = mapping(node, place)
    return tuple((key.text, place.inside(key.text).read(value, _variable(key))) for key, value in found.entries)


def _variable(key: Scalar) -> Reader:
    def read(node: Node, place: Place) -> str:
        value = text(node, place)
        if not key.text or "=" in key.text or "\0" in key.text + value:
            raise Wrong("can't stand in the environment: no name is empty or has `=` in it, and nothing holds NUL")
        return value

    return read


RETRY: dict[str, Reader] = {"attempts": whole(), "delay": duration, "factor": number(1), "max": duration}

STAGE_SETTINGS: dict[str, Reader] = {
    "name": name,
    "workers": whole(),
    "batch": unset(whole()),
    "concurrency": whole(),
    "retry": retry,
    "timeout": unset(above_zero(duration, "leave it out for none")),
    "rate": unset(calls),
    "start_timeout": above_zero(duration, "write 60s"),
    "on_error": choice("fail", "skip", "dead_letter"),
    "max_errors": unset(whole(0)),
    "env": environment,
    "max_memory": unset(above_zero(bytes_size, "leave it out for none")),
    "resources": unset(mapping),
}
END_SETTINGS = {
    **{key: STAGE_SETTINGS[key] for key in ("name", "on_error")},
    "retry": refused("has no effect yet on a source or a sink", "leave it out; a stage has it"),
}
"""What a source and a sink take of them, and what they will."""


def settings(values: dict[str, Any]) -> Settings:
    """The settings from what a table read."""
    return Settings(**{key: value for key, value in values.items() if key in STAGE_SETTINGS and key != "name"})


def frame(node: Node, place: Place) -> int | None:
    """Records per frame; None for auto."""
    return None if isinstance(node, Scalar) and node.text == "auto" else whole()(node, place)


def engine(node: Node, place: Place) -> dict[str, Any]:
    """The fields of Run for its engine: a name, or a name and options."""
    if isinstance(node, Scalar):
        return {"engine": path_node(node, place).text, "engine_mark": node.mark}
    values = read_table(node, ENGINE, place)
    if not isinstance(node, Mapping) or node.get("use") is None:
        raise Wrong("needs `use:`", "write its name, or {use: NAME, with: {…}}", "missing-key")
    fields = {"engine": values.get("use"), "engine_options": values.get("with"), "engine_mark": node.mark}
    return {key: value for key, value in fields.items() if value is not None}


ENGINE: dict[str, Reader] = {"use": lambda node, place: path_node(node, place).text, "with": unset(mapping)}

RUN: dict[str, Reader] = {
    "engine": engine,
    "frame": frame,
    "window": above_zero(bytes_size, "write 64MiB"),
    "linger": duration,
    "grace": duration,
    "checkpoint": duration,
    "journal": path_node,
    "durability": choice("process", "power"),
    "fuse": choice("off", "auto"),
    "max_record": above_zero(bytes_size, "write 16MiB"),
    "max_growth": above_zero(bytes_size, "write 64MiB"),
}
