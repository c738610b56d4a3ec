"""The settings of a part and of the run: tables of name → reader."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stagerunner.config.model import BatchSize, Memo, Resources, Retry, Settings
from stagerunner.config.names import PATTERN
from stagerunner.config.nodes import Mapping, Node, Scalar
from stagerunner.config.readers import (
    InvalidValue,
    Location,
    Reader,
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
    text_node,
    unset,
    whole,
)
from stagerunner.config.variables import WORKER
from stagerunner.evaluate.conditions.expression import Expression
from stagerunner.evaluate.work import COUNTERS


def name(node: Node, location: Location) -> str:
    """A name that can stand in tables and after `--set`."""
    found = text_node(node).text
    if not PATTERN.fullmatch(found):
        raise InvalidValue.expected("lower case letters, digits and dashes", node)
    return found


def retry(node: Node, location: Location) -> Retry:
    """The number of attempts alone, or a mapping."""
    if isinstance(node, Scalar):
        return Retry(attempts=whole()(node, location))
    values = read_table(node, RETRY, location)
    if values and isinstance(node, Mapping) and node.get("attempts") is None:
        fix = "add `attempts:`, 2 or more"
        raise InvalidValue("has no `attempts`, so nothing would be tried again", fix, "missing-key")
    return replace(Retry(), **values)


def batch(node: Node, location: Location) -> BatchSize:
    """The size alone, or a mapping."""
    if isinstance(node, Scalar):
        return BatchSize(whole()(node, location))
    values = read_table(node, BATCH, location)
    if not isinstance(node, Mapping) or node.get("size") is None:
        raise InvalidValue("has no `size`", "add `size:`, the records in a list", "missing-key")
    return BatchSize(**{"size": 1, **values})


def expression(node: Node, location: Location) -> str:
    """The text of an expression over a record."""
    found = text(node, location)
    try:
        Expression(found)
    except ValueError as why:
        raise InvalidValue(f"is not a condition: {why}") from None
    return found


def environment(node: Node, location: Location) -> tuple[tuple[str, str], ...]:
    """The names and values of environment variables."""
    found = mapping(node, location)
    return tuple((key.text, location.inside(key.text).read(value, _variable(key))) for key, value in found.entries)


def _variable(key: Scalar) -> Reader:
    def read(node: Node, location: Location) -> str:
        value = text(node, location)
        if not key.text or "=" in key.text or "\0" in key.text + value.replace(WORKER, ""):
            raise InvalidValue(
                "can't be in the environment: a name is neither empty nor has `=` in it, and nothing holds NUL"
            )
        return value

    return read


def resources(node: Node, location: Location) -> Resources:
    """What each worker needs."""
    values = read_table(node, RESOURCES, location)
    gpu = node.get("gpu") if isinstance(node, Mapping) else None
    return Resources(**values, gpu_mark=None if gpu is None else gpu.mark, path=location.inside("gpu").path)


def devices(node: Node, location: Location) -> int:
    """A number of devices."""
    if isinstance(node, Scalar) and type(node.value) is float:
        fix = "workers that share a device have no `gpu`, and name it in `env`: CUDA_VISIBLE_DEVICES"
        raise InvalidValue("must be a whole number: a worker has devices of its own", fix)
    found: int = whole(0)(node, location)
    return found


RESOURCES: dict[str, Reader] = {
    "cpu": unset(above_zero(number(0), "leave it out")),
    "gpu": unset(devices),
    "memory": unset(above_zero(bytes_size, "leave it out")),
}


def memo(node: Node, location: Location) -> Memo:
    """true or false, a path, or a mapping."""
    if isinstance(node, Mapping):
        values = read_table(node, MEMO, location)
        return Memo(values.pop("path", None), **values)
    if isinstance(node, Scalar) and type(node.value) is bool:
        return Memo(off=not node.value)
    if not isinstance(node, Scalar):
        raise InvalidValue.expected("true, a path, or a mapping with `path` and `ttl`", node)
    found = path_node(node, location)
    if found.text in ("yes", "no", "on", "off") and not found.quoted:
        meant = "true" if found.text in ("yes", "on") else "false"
        raise InvalidValue.expected(
            "true, false, or a path", node, f"write {meant}; a file of that name is ./{found.text}"
        )
    return Memo(found)


def budget(node: Node, location: Location) -> tuple[tuple[str, float], ...]:
    """Counters and how far each may go."""
    found = mapping(node, location).entries
    if not found:
        raise InvalidValue("names no counter", "write {usd: 5}, or leave it out")
    if len(found) > COUNTERS:
        raise InvalidValue(f"has {len(found)} counters, and a stage may have {COUNTERS}", "leave some out")
    limits = (
        (key.text, location.inside(key.text).read(value, above_zero(number(0), "write a number above 0")))
        for key, value in found
    )
    return tuple((name, limit) for name, limit in limits if limit is not None)


MEMO: dict[str, Reader] = {
    "path": path_node,
    "ttl": unset(above_zero(duration, "leave it out to keep results forever")),
    "size": unset(above_zero(bytes_size, "leave it out for any size")),
}

RETRY: dict[str, Reader] = {"attempts": whole(), "delay": duration, "factor": number(1), "max": duration}

BATCH: dict[str, Reader] = {"size": whole(), "wait": duration}

STAGE_SETTINGS: dict[str, Reader] = {
    "name": name,
    "workers": whole(),
    "batch": unset(batch),
    "concurrency": whole(),
    "when": expression,
    "retry": retry,
    "timeout": unset(above_zero(duration, "leave it out for none")),
    "rate": unset(calls),
    "memo": unset(memo),
    "budget": unset(budget),
    "start_timeout": above_zero(duration, "write 60s"),
    "on_error": choice("fail", "skip", "dead_letter"),
    "max_errors": unset(whole(0)),
    "env": environment,
    "max_memory": unset(above_zero(bytes_size, "leave it out for none")),
    "python": unset(path_node),
    "resources": unset(resources),
}
_NO_RETRY = refused("has no effect yet on a source or a sink", "leave it out; a stage has it")
_NO_WHEN = refused("has no effect on a source", "leave it out; a stage or a sink has it")
SOURCE_SETTINGS: dict[str, Reader] = {
    **{key: STAGE_SETTINGS[key] for key in ("name", "on_error")},
    "retry": _NO_RETRY,
    "when": _NO_WHEN,
}
SINK_SETTINGS: dict[str, Reader] = {key: STAGE_SETTINGS[key] for key in ("name", "on_error", "when")} | {
    "retry": _NO_RETRY
}
"""The settings that a source or a sink has, and those that are reserved for it."""


def settings(values: dict[str, Any]) -> Settings:
    """The settings from what a table read."""
    return Settings(**{key: value for key, value in values.items() if key in STAGE_SETTINGS and key != "name"})


def frame(node: Node, location: Location) -> int | None:
    """Records per frame; None for auto."""
    return None if isinstance(node, Scalar) and node.text == "auto" else whole()(node, location)


def engine(node: Node, location: Location) -> dict[str, Any]:
    """The fields of Run for its engine: a name, or a name and options."""
    if isinstance(node, Scalar):
        return {"engine": path_node(node, location).text, "engine_mark": node.mark}
    values = read_table(node, ENGINE, location)
    if not isinstance(node, Mapping) or node.get("use") is None:
        raise InvalidValue("needs `use:`", "write its name, or {use: NAME, with: {…}}", "missing-key")
    fields = {"engine": values.get("use"), "engine_options": values.get("with"), "engine_mark": node.mark}
    return {key: value for key, value in fields.items() if value is not None}


ENGINE: dict[str, Reader] = {"use": lambda node, location: path_node(node, location).text, "with": unset(mapping)}

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
