"""The names of stages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from stagerunner.config.nodes import Mapping, Node, Scalar

PATTERN = re.compile(r"[a-z0-9][a-z0-9-]*")


def stage_names(stages: Iterable[Node]) -> list[str]:
    """One name for each stage, all different: the one written, else the default, with -2, -3 … where it is taken."""
    stages = list(stages)
    written = [_written(stage) for stage in stages]
    taken = {name for name in written if name}
    count: Counter[str] = Counter()
    return [name or _free(default_name(_use(stage)), taken, count) for name, stage in zip(written, stages, strict=True)]


def default_name(use: str) -> str:
    """What follows the last `/` or `:`, lower case, dots and underscores become dashes."""
    last = re.split("[/:]", use)[-1].lower().replace(".", "-").replace("_", "-")
    return re.sub("[^a-z0-9-]", "", last).strip("-") or "stage"


def _written(stage: Node) -> str:
    name = stage.get("name") if isinstance(stage, Mapping) else None
    return name.text if isinstance(name, Scalar) and PATTERN.fullmatch(name.text) else ""


def _use(stage: Node) -> str:
    use = stage.get("use") if isinstance(stage, Mapping) else stage
    return use.text if isinstance(use, Scalar) else ""


def _free(name: str, taken: set[str], count: Counter[str]) -> str:
    """The name with the next number that is free; `count` keeps how far each name has come."""
    while True:
        count[name] += 1
        free = name if count[name] == 1 else f"{name}-{count[name]}"
        if free not in taken:
            taken.add(free)
            return free
