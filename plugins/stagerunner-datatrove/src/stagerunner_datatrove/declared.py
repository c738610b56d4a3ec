"""What datatrove's source says of a step, read without importing datatrove.

The plan needs no more than the names of a step's options, and an import takes most of a second before any worker
starts. What isn't plain to see here is left to the import.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path


def takes(name: str, options: Collection[str], packages: Collection[str]) -> bool:
    """Whether one of these packages has a step of this name, and it takes these options and lacks none. False also
    means that it isn't known."""
    try:
        module = next(filter(None, (_module_of(name, package) for package in packages)), None)
        return module is not None and _class_takes(_parsed(module), name, set(options))
    except (OSError, SyntaxError, ValueError, ImportError):  # no source, or not what it was when this was written
        return False


def _module_of(name: str, package: str) -> Path | None:
    """The file of the module from which the package takes this name."""
    spec = find_spec(package)  # this imports the packages around it, which are empty
    if spec is None or spec.origin is None:
        return None
    for node in _parsed(Path(spec.origin)).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module and _names(node, name):
            return Path(spec.origin).with_name(f"{node.module}.py")
    return None


def _names(node: ast.ImportFrom, name: str) -> bool:
    return any(alias.name == name and alias.asname is None for alias in node.names)


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _class_takes(module: ast.Module, name: str, options: set[str]) -> bool:
    """Whether the class has a constructor of its own that can be called with these keywords."""
    found = next((node for node in module.body if isinstance(node, ast.ClassDef) and node.name == name), None)
    if found is None or found.decorator_list or found.keywords:
        return False
    makers = [node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    if len(makers) != 1 or makers[0].decorator_list or makers[0].args.posonlyargs:
        return False
    given = makers[0].args
    named = [argument.arg for argument in given.args[1:]]
    needed = set(named[: len(named) - len(given.defaults)])
    needed |= {each.arg for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is None}
    known = {*named, *(each.arg for each in given.kwonlyargs)}
    return needed <= options and (options <= known or given.kwarg is not None)
