"""`use: ./file.py:name` and `use: pkg.module:name`: any function or class, decorated or not."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

from stagerunner.catalog.importing import attribute, existing_file, import_file, import_named
from stagerunner.catalog.model import Located, Resolved, Unresolved
from stagerunner.guard import shown
from stagerunner.parts import files, held
from stagerunner.parts.base import Kind, Part, first_sentence, part_of

_ADDRESS = r"(?P<where>.+\.py|[^\W\d]\w*(\.\w+)*):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)"


def is_address(text: str) -> bool:
    """Whether a text has the form of an address."""
    return ":" in text and re.fullmatch(_ADDRESS, text) is not None


def is_file(text: str) -> bool:
    """Whether a text refers to a plugin file rather than to a module."""
    return text.endswith(".py") or "/" in text


def at_address(kind: Kind, text: str, base: Path) -> Resolved:
    """The part at an address; a path is relative to the folder `base`. Raises Unresolved."""
    where, name = _split(text)
    module = _module(where, base)
    found = attribute(module, name)
    part = _part(kind, found, f"{module.__name__}:{name}")
    return Resolved(part, found, _provider(where, module))


def located(text: str, base: Path) -> Located:
    """Where the part at an address is; nothing is imported. Raises Unresolved."""
    where, name = _split(text)
    if not is_file(where):
        return Located(f"{where}:{name}", where)
    path = existing_file(base, where)
    module = files.module_name(path)
    files.register({module: str(path)})
    return Located(f"{module}:{name}", shown(path))


def _split(text: str) -> tuple[str, str]:
    match = re.fullmatch(_ADDRESS, text)
    if match is None:
        raise Unresolved("address", f"'{text}' isn't an address", "write ./file.py:name or pkg.module:name")
    return match["where"], match["name"]


def from_object(kind: Kind, found: Any) -> Resolved:
    """The part that a Python object itself is. Raises Unresolved."""
    target = held.target_of(found)
    return Resolved(_part(kind, found, target), found, getattr(found, "__module__", None) or type(found).__name__)


def _module(where: str, base: Path) -> ModuleType:
    if where == "__main__":
        raise Unresolved("not-importable", "a worker can't import __main__", "move it to a file of its own")
    return import_file(existing_file(base, where)) if is_file(where) else import_named(where)


def _part(kind: Kind, found: Any, target: str) -> Part:
    if not callable(found):
        name, given = target.partition(":")[2], type(found).__name__
        raise Unresolved("not-callable", f"'{name}' is neither a function nor a class, but of type {given}")
    decorated = part_of(found)
    if decorated is None:
        return Part(kind, _name(found, target), target, first_sentence(found), found=found)
    if decorated.kind != kind:
        raise Unresolved("kind", f"'{decorated.name}' is a {decorated.kind}, not a {kind}")
    return decorated._replace(target=target, found=found)


def _name(found: Any, target: str) -> str:
    return (str(getattr(found, "__name__", "")) or target.rpartition(":")[2]).lower()


def _provider(where: str, module: ModuleType) -> str:
    return shown(module.__file__) if is_file(where) and module.__file__ else module.__name__
