"""The runner's own folder, for an output of many files: made without touching another program's, and removed only if it
is known."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from stagerunner_parts.sinks.locking import inode_of
from stagerunner_parts.sinks.many import in_the_way


class OwnFolder:
    """The folder in which a run makes its files, locked as long as it is open. path: where it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inode = 0
        """0 until it is open."""
        self._lock: int | None = None

    def begin(self, known: int | None, is_ours: Callable[[Path], bool]) -> None:
        """Make the folder. known: the inode of the one that an unfinished run has left there; it is removed.

        is_ours: whether a file is one that a run makes at first: one that was killed then has left no others. Raises
        FileExistsError for a folder with any other, BlockingIOError if another run has it open.
        """
        if os.path.lexists(self.path):
            if inode_of(self.path) != known and not self._has_only(is_ours):
                raise in_the_way(self.path)
            self._open()
            self.close()
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        self._open()

    def _has_only(self, is_ours: Callable[[Path], bool]) -> bool:
        return self.path.is_dir() and not self.path.is_symlink() and all(map(is_ours, self.path.iterdir()))

    def go_on(self, known: int) -> None:
        """Open the folder with this inode. Raises FileNotFoundError if it isn't there, BlockingIOError as `begin`."""
        if inode_of(self.path) != known:
            raise FileNotFoundError(f"{self.path} isn't what the run to be resumed has left")
        self._open()

    def _open(self) -> None:
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            flock(self._lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            self.close()
            raise
        except OSError:
            pass  # a file system without locks
        self.inode = os.fstat(self._lock).st_ino

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Remove it, if it was opened and is still there."""
        if self.inode and inode_of(self.path) == self.inode:
            shutil.rmtree(self.path)
