"""Whether the nodes of a cluster have what the parent has: the same Python, stagerunner and plugins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from stagerunner.plan import Plan

WAITING = 60.0
"""Seconds that a node may take to answer: it may have to start a process first."""


def needed(plan: Plan) -> list[str]:
    """The distributions that the plan's parts come from."""
    parts = [part for part in (plan.source, *plan.stages, *plan.sinks) if part is not None]
    providers = {part.provider.partition(" ")[0] for part in parts if " " in part.provider}
    return sorted({"stagerunner", "stagerunner-ray", *providers})


def differences(plan: Plan) -> Iterator[str]:
    """A sentence for each thing in which a node differs."""
    names = needed(plan)
    ours = versions(names)
    ask = ray.remote(num_cpus=0, max_retries=0)(versions)
    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(names)
        for node in nodes
    ]
    for node, answer in zip(nodes, asked, strict=True):
        where = f"the node {node['NodeManagerAddress']}"
        try:
            theirs = ray.get(answer, timeout=WAITING)
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            yield f"{where} can't be asked: {lines[-1].strip()}"
            continue
        yield from compared(ours, theirs, where)


def compared(ours: dict[str, str | None], theirs: dict[str, str | None], where: str) -> Iterator[str]:
    """A sentence for each version that differs."""
    for name, own in ours.items():
        if theirs[name] == own:
            continue
        if theirs[name] is None:
            yield f"{where} lacks {name}, which is {own} here: pip install '{name}=={own}' there"
        else:
            yield f"{where} has {name} {theirs[name]}, and here it is {own or 'missing'}"


def versions(names: list[str]) -> dict[str, str | None]:
    """The versions of Python and of these distributions; None for one that is missing."""
    found: dict[str, str | None] = {"Python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
