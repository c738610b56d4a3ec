"""The names of stages, and of sinks in a list: written, or made from `use`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from stagerunner.config.nodes import Mapping, Node, Scalar, Sequence

PATTERN = re.compile(r"[a-z0-9][a-z0-9-]*")

LISTS = ("stages", "sinks", "source")
"""The keys of parts that stand in a list. No two of these parts have the same name."""


def part_names(root: Mapping) -> dict[str, list[str]]:
    """The names of the parts in each list."""
    listed = {key: node.items for key in LISTS if isinstance(node := root.get(key), Sequence)}
    names = iter(stage_names([item for items in listed.values() for item in items]))
    return {key: [next(names) for _ in items] for key, items in listed.items()}


def stage_names(stages: Iterable[Node]) -> list[str]:
    """A unique name for each stage: the one written, else the default, with -2, -3 … if that is taken."""
    stages = list(stages)
    written = [_written(stage) for stage in stages]
    taken = {name for name in written if name}
    count: Counter[str] = Counter()
    return [name or _free(default_name(_use(stage)), taken, count) for name, stage in zip(written, stages, strict=True)]


def default_name(use: str) -> str:
    """The part behind the last `/` or `:`, in lower case, dots and underscores as dashes."""
    last = re.split("[/:]", use)[-1].lower().replace(".", "-").replace("_", "-")
    return re.sub("[^a-z0-9-]", "", last).strip("-") or "stage"


def _written(stage: Node) -> str:
    name = stage.get("name") if isinstance(stage, Mapping) else None
    return name.text if isinstance(name, Scalar) and PATTERN.fullmatch(name.text) else ""


def _use(stage: Node) -> str:
    use = stage.get("use") if isinstance(stage, Mapping) else stage
    return use.text if isinstance(use, Scalar) else ""


def _free(name: str, taken: set[str], count: Counter[str]) -> str:
    """The name with the next free number. count: how often each name was used."""
    while True:
        count[name] += 1
        free = name if count[name] == 1 else f"{name}-{count[name]}"
        if free not in taken:
            taken.add(free)
            return free
