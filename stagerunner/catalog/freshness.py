"""Imports plugins again that were edited while this process runs, as in a notebook.

    a plugin is imported ─▶ note the modules imported with it ─▶ next load: changed on disk? ─▶ forget them, and the
                                                                                               modules that import them

Modules that the program had imported before, and installed ones, are never forgotten. Unchanged modules stay, so that
their classes remain the same objects.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from zlib import crc32

from stagerunner.parts.files import PACKAGE

_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STANDARD = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - pathlib would cost more than all the rest
_OURS = ("stagerunner", "stagerunner_parts")

_noted: dict[str, tuple[str, int]] = {}
"""Module → its file, and the checksum of what was imported from there."""

replaced: set[str] = set()
"""Modules that were forgotten at least once: parts loaded before hold objects of the old version."""


@contextmanager
def noting(name: str) -> Iterator[None]:
    """Note the modules that are imported for the first time inside, while the module of this name is imported."""
    if name in sys.modules:
        yield
        return
    before = set(sys.modules)
    try:
        yield
    finally:
        for new in sys.modules.keys() - before:
            _note(new, sys.modules[new])


def _note(name: str, module: ModuleType | None) -> None:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py") or name.partition(".")[0] in _OURS:
        return
    if not file.startswith(_STANDARD) and not any(folder in file for folder in _INSTALLED):
        _noted[name] = (file, _checksum(file))


def noted() -> list[str]:
    """The files of plugins and of their own modules that they imported."""
    return [file for file, _ in _noted.values()]


def _checksum(file: str) -> int:
    """The checksum of a file; -1 if it is gone."""
    try:
        return crc32(Path(file).read_bytes())
    except OSError:
        return -1


def forget_changed() -> None:
    """Forget changed modules, so that the next import reads them again."""
    changed = {name for name, (file, checksum) in _noted.items() if _checksum(file) != checksum}
    for name in changed:
        _forget_compiled(_noted[name][0])
    stale = _with_dependents(changed)
    for name in stale:
        _forget(name)
    if stale:
        importlib.invalidate_caches()


def _forget_compiled(file: str) -> None:
    """Delete the .pyc file: it compares seconds and length, so it may hide a change within one second."""
    from importlib.util import cache_from_source  # only needed when a plugin was changed

    with suppress(OSError, NotImplementedError):
        Path(cache_from_source(file)).unlink()


def _forget(name: str) -> None:
    replaced.add(name)
    sys.modules.pop(name, None)
    _noted.pop(name, None)
    package, _, child = name.rpartition(".")
    if package != PACKAGE and child in vars(sys.modules.get(package, sys)):
        with suppress(AttributeError):
            delattr(sys.modules[package], child)


def _with_dependents(stale: set[str]) -> set[str]:
    """These modules, those inside them if they are packages, and those that import any of them."""
    imported = {name: _imports(name) for name in _noted} if stale else {}
    found: set[str] = set()
    while found != stale:
        found = set(stale)
        inside = {name for name in _noted if any(name.startswith(f"{one}.") for one in found)}
        stale = found | inside | {name for name, wanted in imported.items() if wanted & found}
    return found


def _imports(name: str) -> set[str]:
    """Everything that a module imports, including names that may or may not be modules."""
    import ast  # only needed when a plugin was changed

    wanted: set[str] = set()
    try:
        tree = ast.parse(Path(_noted[name][0]).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return wanted
    package = getattr(sys.modules.get(name), "__package__", None) or ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            wanted |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return wanted | {".".join(one.split(".")[:n]) for one in wanted for n in range(1, one.count(".") + 1)}
