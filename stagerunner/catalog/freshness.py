"""Plugins that somebody goes on writing while this process lives: what was changed on disk is imported anew.

    import of a plugin ─▶ the modules that came with it are noted ─▶ next load: changed? ─▶ forgotten, with whoever
                                                                                            imports them

What this program had imported itself, before any plugin asked for it, isn't ours to forget; nor is what is installed.
Unchanged modules stay what they are, so that their classes do.
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
"""Modules that were forgotten once: what had been loaded before holds other objects than they do now."""


@contextmanager
def noting(name: str) -> Iterator[None]:
    """Note what is imported within for the first time, on behalf of the module of that name."""
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
    """The files of plugins and of the modules of their own that they have imported."""
    return [file for file, _ in _noted.values()]


def _checksum(file: str) -> int:
    """Of what stands in a file; -1 where there is none any more."""
    try:
        return crc32(Path(file).read_bytes())
    except OSError:
        return -1


def forget_changed() -> None:
    """Have the next import read anew what was changed since."""
    changed = {name for name, (file, checksum) in _noted.items() if _checksum(file) != checksum}
    for name in changed:
        _forget_compiled(_noted[name][0])
    stale = _with_dependents(changed)
    for name in stale:
        _forget(name)
    if stale:
        importlib.invalidate_caches()


def _forget_compiled(file: str) -> None:
    """It goes by the second: of two versions within one, as long as each other, the first would stay for ever."""
    from importlib.util import cache_from_source  # only who changes a plugin needs it

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
    """These modules, what lies in them if they are packages, and whoever imports any of them."""
    imported = {name: _imports(name) for name in _noted} if stale else {}
    found: set[str] = set()
    while found != stale:
        found = set(stale)
        inside = {name for name in _noted if any(name.startswith(f"{one}.") for one in found)}
        stale = found | inside | {name for name, wanted in imported.items() if wanted & found}
    return found


def _imports(name: str) -> set[str]:
    """All that a module imports anywhere, and all that it might, where a name may be a module's or another."""
    import ast  # only who changes a plugin needs it

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
