"""What the catalog holds, and what looking something up in it gives."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from stagerunner.parts.base import Part
from stagerunner.tuples import NamedTuple


class Entry(Struct, frozen=True):
    """A part and who provides it: "stagerunner 0.1.0", "./my_stages.py"."""

    part: Part
    provider: str


class Problem(NamedTuple):
    """Something wrong with a plugin, in one sentence, that stops nobody who doesn't need that plugin."""

    provider: str
    text: str


class Provider(Struct, frozen=True):
    """A plugin that was loaded: `name` is how pluggy knows it, `hooks` the hooks it has."""

    name: str
    provider: str
    hooks: tuple[str, ...] = ()


class Resolved(Struct, frozen=True):
    """A part that was imported: `found` is the function or class that `part.target` leads to."""

    part: Part
    found: Any
    provider: str


class Unresolved(Exception):
    """What a config refers to isn't there, or can't be used: why, in the words of a Mistake."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.fix = fix
