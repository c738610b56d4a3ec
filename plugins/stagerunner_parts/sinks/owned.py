"""The runner's own files: made without touching another program's, found again, and removed only if they are known."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

from stagerunner_parts.sinks.locking import inode_of, lock
from stagerunner_parts.sinks.many import in_the_way

OURS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""How our own files are opened: never following a link, never waiting for a pipe."""

ODD = (errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""The errors with which that fails for a link, a folder and a socket."""


def partial_of(path: Path) -> Path:
    """Where an output is written until it is complete."""
    return path.with_name(f"{path.name}.partial")


def made(path: Path, known: int | None, *, private: bool) -> FileIO:
    """Create the file, empty, and locked as long as it is open. private: only its owner may read it.

    known: the inode of the file that an unfinished run has left there; it is removed. Raises FileExistsError for any
    other that isn't empty, BlockingIOError if another run has it open.
    """
    _discard(path, known)
    try:
        file = os.open(path, OURS | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    except FileExistsError:
        raise BlockingIOError(f"{path} has just been created by another process") from None
    return lock(FileIO(file, "rb+"))


def _discard(path: Path, known: int | None) -> None:
    try:
        file = FileIO(os.open(path, OURS), "rb+")
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno in ODD:
            raise in_the_way(path) from None
        raise
    with file:
        lock(file, path)
        there = os.fstat(file.fileno())
        alone = stat.S_ISREG(there.st_mode) and there.st_nlink == 1
        if not alone or (there.st_size and there.st_ino != known):
            raise in_the_way(path)
        path.unlink()


def found(path: Path) -> FileIO:
    """Open a file to continue it. Raises FileNotFoundError, or BlockingIOError while another run has it open."""
    try:
        return lock(FileIO(os.open(path, OURS), "rb+"), path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is gone, so the run can't be resumed") from None
    except OSError as error:
        if error.errno in ODD:
            raise OSError(f"{path} is no longer a file, so the run can't be resumed") from None
        raise


def remove(path: Path, file: FileIO | None, known: int | None) -> None:
    """Remove what is there if it is this open file; if none is open, if it has the known inode."""
    inode = os.fstat(file.fileno()).st_ino if file else known
    if inode is not None and inode_of(path) == inode:
        path.unlink()
