"""Files that one run at a time writes, and which file has a name now."""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_NB, flock
from io import FileIO
from pathlib import Path


def write_all(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]


def lock(file: FileIO, path: Path | None = None) -> FileIO:
    """Lock the file for as long as it is open. Raises BlockingIOError if another run holds it.

    path: where it was opened. If another file is there by now, a finished run has just renamed it.
    """
    try:
        flock(file.fileno(), LOCK_EX | LOCK_NB)
        if path is not None and not is_at(file, path):
            raise BlockingIOError(f"another run has just renamed {path}")
    except BlockingIOError:
        file.close()
        raise
    except OSError:
        pass  # a file system without locks
    return file


def is_at(file: FileIO, path: Path) -> bool:
    return inode_of(path) == os.fstat(file.fileno()).st_ino


def inode_of(path: Path) -> int:
    """0 if nothing is there."""
    try:
        return path.lstat().st_ino
    except OSError:
        return 0
