"""Imports plugin code in the parent. An error becomes one line that names the place in that code."""

from __future__ import annotations

import importlib
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from stagerunner.catalog.freshness import noting
from stagerunner.catalog.model import Unresolved
from stagerunner.config.paths import expand_user
from stagerunner.config.wording import did_you_mean
from stagerunner.guard import is_ctrl_c, one_line, reason, shown
from stagerunner.inherited import kept
from stagerunner.parts import files


def import_named(name: str) -> ModuleType:
    """The module of this name. Raises Unresolved with the error and its place in the plugin's code."""
    try:
        # Standard output is for data: what a plugin prints while it is imported goes to standard error.
        with kept(), redirect_stdout(sys.stderr), noting(name):
            return importlib.import_module(name)
    except BaseException as error:
        if is_ctrl_c(error):
            raise
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise Unresolved("no-module", f"there is no module '{error.name}'") from None
        raise Unresolved("import-failed", f"{_described(name)} could not be imported: {one_line(error)}") from None


def existing_file(base: Path, text: str) -> Path:
    """The absolute path of the file that a text names. Raises Unresolved if there is none."""
    try:
        path = (base / expand_user(text)).resolve()
        there = path.is_file()
    except (OSError, ValueError) as error:
        # Too long, or characters that no file system takes.
        raise Unresolved("no-file", f"there is no such file: {reason(error)}") from None
    if not there:
        raise Unresolved("no-file", f"there is no file {shown(path)}", _similar_file(path))
    return path


def import_file(path: Path) -> ModuleType:
    """The module of a plugin file, given by its absolute path; workers import it under the same name.

    Raises Unresolved as `import_named` does.
    """
    name = files.module_name(path)
    files.register({name: str(path)})
    return import_named(name)


def import_target(target: str) -> Any:
    """The object at "module:qualified.name". Raises Unresolved."""
    module, _, name = target.partition(":")
    return attribute(import_named(module), name)


def attribute(module: ModuleType, dotted: str) -> Any:
    """The object that a module has under a (dotted) name. Raises Unresolved."""
    found: Any = module
    for name in dotted.split("."):
        try:
            found = getattr(found, name)
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            raise Unresolved(
                "no-attribute",
                f"{_described(module.__name__)} has no '{dotted}'",
                did_you_mean(name, (other for other in vars(module) if not other.startswith("_"))),
            ) from None
    return found


def _described(module: str) -> str:
    path = files.registered().get(module)
    return f"module '{module}'" if path is None else shown(path)


def _similar_file(path: Path) -> str:
    beside = path.parent.glob("*.py") if path.parent.is_dir() else ()
    return did_you_mean(path.name, (other.name for other in beside))
