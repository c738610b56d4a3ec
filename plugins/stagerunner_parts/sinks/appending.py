"""A file that is appended to, in place.

PATH.partial, the *spool*, holds a copy of what is not committed yet. So a resume can tell those bytes from lines that
other programs have added.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

from stagerunner_parts.sinks.growing import Growing
from stagerunner_parts.sinks.locking import lock, write_all
from stagerunner_parts.sinks.owned import OURS, found, made, remove

CHUNK = 2**20
"""Bytes that are compared at a time."""


class Appending(Growing):
    """PATH itself. lines: whether it holds lines, so that the first record begins one."""

    def __init__(self, real: Path, shown: Path, *, lines: bool) -> None:
        super().__init__(real, shown)
        self._lines = lines
        self._spool: FileIO | None = None
        self._gap = False
        self._committed = True

    @property
    def path(self) -> Path:
        return self.real

    # Opening

    def open(self, position: dict[str, int] | None) -> None:
        super().open(position)
        self._gap = self._lines and self._ends_inside_a_line()

    def _ends_inside_a_line(self) -> bool:
        return self.length > 0 and os.pread(self.file.fileno(), 1, self.length - 1) != b"\n"

    def _begin(self) -> None:
        self.real.parent.mkdir(parents=True, exist_ok=True)
        self._file = lock(FileIO(os.open(self.real, OURS | os.O_CREAT, 0o666), "rb+"))
        self._spool = self._new_spool()

    def _new_spool(self) -> FileIO:
        return made(self.partial, self.known.get("spool"), private=True)

    def _before_cut(self, length: int, position: dict[str, int]) -> None:
        """Open the spool. Raises OSError if other programs have added to the file after its first `length` bytes."""
        self._spool = self._spool_left(position.get("spool"))
        if not self._is_all_spooled(length):
            added = os.fstat(self.file.fileno()).st_size - length
            raise OSError(
                f"another program has added to {self.shown}: {added:,} bytes after what the run had committed; "
                "remove them to resume, or run without --resume to append everything anew"
            )
        if self._spool is None:
            self._spool = self._new_spool()

    def _spool_left(self, known: int | None) -> FileIO | None:
        """The spool with this inode, or None. Raises OSError for any other that isn't empty."""
        try:
            spool = found(self.partial)
        except FileNotFoundError:
            return None
        there = os.fstat(spool.fileno())
        if there.st_ino == known:
            return spool
        with spool:
            if there.st_size:
                raise OSError(f"{self.partial} isn't what the run to be resumed has left")
            remove(self.partial, spool, None)  # made by a resume that was killed before its first commit
        return None

    def _is_all_spooled(self, at: int) -> bool:
        """Whether everything in the file after `at` is the beginning of the spool."""
        behind = 0
        while data := os.pread(self.file.fileno(), CHUNK, at + behind):
            if self._spool is None or os.pread(self._spool.fileno(), len(data), behind) != data:
                return False
            behind += len(data)
        return True

    # Writing

    def write(self, data: bytes) -> None:
        if self._gap:
            data, self._gap = b"\n" + data, False
        if self._spool is not None:
            if self._committed:
                self._spool.truncate(0)
            write_all(self._spool, data)
        self._committed = False
        super().write(data)

    def commit(self) -> None:
        self.length = os.fstat(self.file.fileno()).st_size  # including what others have appended meanwhile
        super().commit()
        self._committed = True

    def _whereabouts(self) -> dict[str, int]:
        position = super()._whereabouts()
        return position if self._spool is None else position | {"spool": os.fstat(self._spool.fileno()).st_ino}

    # The end

    def finish(self) -> None:
        self._remove_spool()

    def discard(self) -> None:
        if self._file is not None:
            self._remove_spool()

    def _remove_spool(self) -> None:
        remove(self.partial, self._spool, self.known.get("spool"))

    def abort(self) -> None:
        if self._committed:
            self._remove_spool()
        super().abort()

    def close(self) -> None:
        super().close()
        if self._spool is not None:
            self._spool.close()
            self._spool = None
