"""Plugin files: a single `./file.py` has the same module name in the parent and in every worker.

The name is `stagerunner_files.<stem>_<hash of its path>`. A finder on `sys.meta_path` maps these names to files, so
that references to the module work everywhere, for example in a pickled record whose class is defined there.
"""

from __future__ import annotations

import importlib.machinery
import os
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "stagerunner_files"


class PluginLoader(importlib.machinery.SourceFileLoader):
    """Uses the cached bytecode of a plugin file only if the file has the content that was compiled.

    Python compares size and modification time in seconds. After a quick edit of the same size, it would run old code.
    """

    def path_stats(self, path: str) -> dict[str, int]:
        data = self.get_data(path)
        return {"mtime": crc32(data), "size": len(data)}


class FileFinder:
    """Finds the modules of plugin files. `files`: module name → path."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == PACKAGE:
            return importlib.machinery.ModuleSpec(PACKAGE, None, is_package=True)
        if fullname in self.files:
            path_here = self.files[fullname]
            loader = PluginLoader(fullname, path_here)
            spec = importlib.machinery.ModuleSpec(fullname, loader, origin=path_here)
            spec.has_location = True
            return spec
        return None


finder = FileFinder()


def module_name(path: Path) -> str:
    """The module name of a plugin file; the same for the same path, in every process."""
    stem = re.sub(r"\W", "_", path.stem)
    return f"{PACKAGE}.{stem}_{crc32(os.fsencode(path)):08x}"


def register(files: dict[str, str]) -> None:
    """Make these modules importable from these files in this process. `files`: module name → path."""
    finder.files.update(files)
    if finder not in sys.meta_path:
        sys.meta_path.append(finder)


def registered() -> dict[str, str]:
    """Module name → path of all plugin files registered in this process; workers get the same."""
    return dict(finder.files)
