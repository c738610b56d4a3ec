"""Plugin files on their way to nodes that may not have them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from stagerunner.wire.spec import SealedSpec


def packed(files: dict[str, str]) -> dict[str, bytes]:
    """The contents of plugin files, by path. files: module name → path."""
    return {path: Path(path).read_bytes() for path in files.values()}


def unpacked(contents: dict[str, bytes]) -> dict[str, str]:
    """Where each file is on this node: where it is in the parent if the same lies there, else in a folder of this
    user's, under a name that its content gives."""
    return {path: path if _same(path, data) else _written(path, data) for path, data in contents.items()}


def moved(sealed: SealedSpec, places: dict[str, str]) -> SealedSpec:
    """The spec, with the files where they are on this node."""
    files = {module: places.get(path, path) for module, path in sealed.files.items()}
    return sealed._replace(files=files)


def _same(path: str, data: bytes) -> bool:
    try:
        return Path(path).read_bytes() == data
    except OSError:
        return False


def _written(path: str, data: bytes) -> str:
    base = Path(tempfile.gettempdir()) / f"stagerunner-files-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    if base.stat().st_uid != os.getuid() or base.is_symlink():
        raise PermissionError(f"{base} is another user's")
    folder = base / hashlib.sha256(data).hexdigest()[:20]
    folder.mkdir(exist_ok=True)
    place = folder / Path(path).name
    if not _same(str(place), data):
        fresh = folder / f"{place.name}.{os.getpid()}"
        fresh.write_bytes(data)
        fresh.replace(place)
    return str(place)
