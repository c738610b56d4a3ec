"""The entries of the catalog, and the results of a look-up."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stagerunner.parts.base import Part
from stagerunner.tuples import NamedTuple


class Entry(Struct, frozen=True):
    """A part and its plugin: "stagerunner 0.1.0", "./my_stages.py"."""

    part: Part
    provider: str


class Problem(NamedTuple):
    """Something wrong with a plugin, in one sentence. It only matters to chains that need the plugin."""

    provider: str
    text: str


class Provider(Struct, frozen=True):
    """A loaded plugin. name: as it is registered with pluggy. hooks: those that it implements."""

    name: str
    provider: str
    hooks: tuple[str, ...] = ()


class Resolved(Struct, frozen=True):
    """A part that was imported. found: the function or class at `part.target`."""

    part: Part
    found: Any
    provider: str


class Located(Struct, frozen=True):
    """A part of which nothing was imported. part: as its plugin offers it; None if `use` is an address."""

    target: str
    provider: str
    part: Part | None = None


class Unresolved(Exception):
    """What a config refers to doesn't exist or can't be used. It has the fields of a Mistake."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix
