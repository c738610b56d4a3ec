"""Plugin files: a lone `./file.py` has one module name everywhere, in the parent and in every worker.

The name is `stagerunner_files.<stem>_<hash of its path>`; a finder on `sys.meta_path` knows which names stand for
which files, so whatever refers to the module (a pickled record of a class defined in it, say) finds it.
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
    """Compiled code of a plugin file is used as long as the file holds what it was compiled from.

    Python goes by size and seconds: whoever changes a letter and runs again at once would get what was there before.
    """

    def path_stats(self, path: str) -> dict[str, int]:
        data = self.get_data(path)
        return {"mtime": crc32(data), "size": len(data)}


class FileFinder:
    """Finds the modules that stand for plugin files. `files`: module name → path."""

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
    """Let these module names be imported from these files, in this process."""
    finder.files.update(files)
    if finder not in sys.meta_path:
        sys.meta_path.append(finder)


def registered() -> dict[str, str]:
    """Module name → path of all plugin files known in this process: what a worker must be told."""
    return dict(finder.files)
