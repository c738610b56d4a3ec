"""A file that replaces another: it is written to PATH.partial and renamed when the run is complete."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from stagerunner_parts.sinks.growing import Growing
from stagerunner_parts.sinks.locking import inode_of, lock
from stagerunner_parts.sinks.owned import made, remove
from stagerunner_parts.sinks.permissions import copy_permissions


class Replacing(Growing):
    """PATH.partial. allowed: raises OSError if PATH may not be replaced."""

    def __init__(self, real: Path, shown: Path, allowed: Callable[[], None]) -> None:
        super().__init__(real, shown)
        self._allowed = allowed
        self._old: FileIO | None = None

    @property
    def path(self) -> Path:
        return self.partial

    def open(self, position: dict[str, int] | None) -> None:
        """Also lock the file that will be replaced: another run may know it under another name."""
        try:
            self._lock_old()
        except BaseException:
            self.close()
            raise
        super().open(position)

    def _lock_old(self) -> None:
        with suppress(FileNotFoundError, PermissionError):
            self._old = FileIO(os.open(self.real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
            lock(self._old)

    def _begin(self) -> None:
        self._allowed()
        self.real.parent.mkdir(parents=True, exist_ok=True)
        # What replaces a file must not be readable to more users than that; its mode is set at the end.
        self._file = made(self.partial, self.known.get("file"), private=self.real.exists())

    def finish(self) -> None:
        """Rename PATH.partial to PATH, with the mode and owner that PATH has. Raises OSError if there is none."""
        here, there = inode_of(self.partial), inode_of(self.real)
        inode = os.fstat(self._file.fileno()).st_ino if self._file else self.known.get("file", here or there)
        if here and here == inode:
            self._allowed()
            self._make_like_the_old()
            self.partial.replace(self.real)
        elif not there or there != inode:
            raise FileNotFoundError(f"{self.partial} is gone, so it can't be renamed to {self.shown}")

    def _make_like_the_old(self) -> None:
        file = os.open(self.partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with suppress(FileNotFoundError):
                copy_permissions(file, self.real)
        finally:
            os.close(file)

    def discard(self) -> None:
        if self._file is not None:
            remove(self.partial, self._file, None)

    def close(self) -> None:
        super().close()
        if self._old is not None:
            self._old.close()
            self._old = None
