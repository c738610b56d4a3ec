"""Installed plugins: the entry points of the group `stagerunner`. Nothing is imported by listing them."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib import metadata

from stagerunner.parts.hooks import PROJECT


def installed_plugins() -> tuple[metadata.EntryPoint, ...]:
    """All entry points of the group, in order of distribution and name."""
    return tuple(sorted(metadata.entry_points(group=PROJECT), key=lambda point: (provider_of(point), point.name)))


def provider_of(point: metadata.EntryPoint) -> str:
    """ "geo 1.2": the distribution an entry point comes from."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def goes_by(point: metadata.EntryPoint, names: Collection[str]) -> bool:
    """Whether one of the names means this plugin: its own, its distribution's or its module's."""
    own = {point.name, point.module, point.dist.name if point.dist else point.name}
    return not {_normal(name) for name in own}.isdisjoint(_normal(name) for name in names)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
