"""What a test needs besides a plain install: an extra, a distribution under `plugins/`, a program of the system.

Where it is missing, the test is skipped by name and reason. With NOTHING_MISSING=1 in the environment, as in `.ci/run`,
it fails instead: whatever the project's own files should have installed must be there.
"""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest


def module(name: str, install: str) -> Any:
    """The module. install: what brings it, for example "stagerunner[arrow]"."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
    return missing(f"{name} is not installed: pip install '{install}'")


def program(name: str, package: str, *folders: str) -> Path:
    """Where the program is, in the path or one of the folders. package: the Debian package that brings it."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *folders)))
    return Path(found) if found else missing(f"{name} is not installed: apt-get install {package}")


def missing(reason: str) -> Any:
    """Skip, or fail where nothing may be missing."""
    if os.environ.get("NOTHING_MISSING"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
