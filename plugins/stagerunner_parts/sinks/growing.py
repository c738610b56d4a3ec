"""A file that grows while a run goes on, and can be cut back to any commit.

A commit notes how long it is, which file it is, and what stands at its end. So a resume finds out whether the file is
still what the run has left.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from io import FileIO
from pathlib import Path
from zlib import crc32

from stagerunner_parts.sinks.locking import is_at, write_all
from stagerunner_parts.sinks.owned import found, partial_of

TAIL = 4096
"""A file is recognised by a checksum of so many bytes at the end of what is committed."""


class Growing(ABC):
    """The file of one output. real: the path of the output, with links resolved. shown: as the config has it."""

    def __init__(self, real: Path, shown: Path) -> None:
        self.real, self.shown = real, shown
        self.partial = partial_of(real)
        self.known: dict[str, int] = {}
        """The position of the unfinished run before this one."""
        self.length = 0
        """Bytes, also those that others have added."""
        self._file: FileIO | None = None
        self._position: dict[str, int] | None = None

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file that is written."""

    @property
    def is_open(self) -> bool:
        return self._file is not None

    @property
    def file(self) -> FileIO:
        """Raises ValueError if it is not open."""
        if self._file is None:
            raise ValueError(f"the sink for {self.shown} is not open")
        return self._file

    # Opening

    def open(self, position: dict[str, int] | None) -> None:
        """Begin a new file if `position` is None, else continue at it. Raises OSError, with a message, if it can't."""
        try:
            self._begin() if position is None else self._go_on(position)
        except BaseException:
            self.close()
            raise
        self.length = os.fstat(self.file.fileno()).st_size
        self._position = self._whereabouts()

    @abstractmethod
    def _begin(self) -> None:
        """Open a new file."""

    def _go_on(self, position: dict[str, int]) -> None:
        """Open the file as it was left, and cut it back."""
        length = position["bytes"]
        self._file = found(self.path)
        there = os.fstat(self._file.fileno())
        if there.st_size < length:
            raise OSError(
                f"{self.path} has {there.st_size:,} bytes, but {length:,} were written to it; the run can't be resumed"
            )
        if there.st_ino != position["file"] or self._tail(length) != position["tail"]:
            raise OSError(
                f"{self.path} isn't what the run to be resumed has written: it was changed since; "
                "run without --resume to start anew"
            )
        self._before_cut(length, position)
        self._file.truncate(length)

    def _before_cut(self, length: int, position: dict[str, int]) -> None:
        """Look at what stands behind this length while it is still there."""

    # Writing

    def write(self, data: bytes) -> None:
        """Raises OSError if the disk is full."""
        file = self.file
        written = file.write(data)
        if written != len(data):  # rare: a signal came, or the disk is nearly full
            write_all(file, data[written or 0 :])
        self.length += len(data)

    def commit(self) -> None:
        """Raises OSError, with a message, if the file was removed or renamed."""
        if not is_at(self.file, self.path):
            raise FileNotFoundError(f"{self.path} was removed or renamed while it was being written")
        self._position = self._whereabouts()

    def position(self) -> dict[str, int] | None:
        """As of the last commit: length in bytes, inode, and a checksum of the end."""
        return self._position

    def _whereabouts(self) -> dict[str, int]:
        return {"bytes": self.length, "file": os.fstat(self.file.fileno()).st_ino, "tail": self._tail(self.length)}

    def _tail(self, length: int) -> int:
        size = min(TAIL, length)
        return crc32(os.pread(self.file.fileno(), size, length - size))

    def sync(self) -> None:
        """Make what was written, or the renaming, survive a power failure."""
        if self._file:
            os.fsync(self._file.fileno())
            return
        folder = os.open(self.real.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    # The end

    @abstractmethod
    def finish(self) -> None:
        """Make it the output. May be called twice, and without `open`. The file stays locked."""

    @abstractmethod
    def discard(self) -> None:
        """Leave nothing that only a resume needs."""

    def abort(self) -> None:
        """Close, and keep what a resume needs."""
        self.close()

    def close(self) -> None:
        """Close, and change nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None
