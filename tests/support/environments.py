"""Virtual environments for stages that run in another Python: made at once, with modules written into them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

OTHERS = [
    found
    for minor in range(11, 20)
    if minor != sys.version_info[1]
    and (found := shutil.which(f"python3.{minor}")) is not None
    and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0
]
"""Other Pythons of this machine that can run stages, as far as they are in the path."""


def environment(folder: Path, **modules: str) -> Path:
    """An environment of this Python, with these modules (name → code) installed in it."""
    venv.EnvBuilder(symlinks=True).create(folder)
    for name, code in modules.items():
        (installed(folder) / f"{name}.py").write_text(code)
    return folder


def installed(folder: Path) -> Path:
    """Its folder of installed packages."""
    (found,) = folder.glob("lib/python3.*/site-packages")
    return found


def install(folder: Path, name: str, version: str) -> None:
    """Say that this version of a distribution is installed in it."""
    for old in installed(folder).glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    made = installed(folder) / f"{name}-{version}.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
