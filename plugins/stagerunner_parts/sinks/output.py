"""What the sinks that write files have in common.

A file is written to PATH.partial and renamed when the run is complete; with mode `append` it is written in place.
Compressed output is a row of members, each closed by a commit, so that it can be cut off at any commit and go on.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from fcntl import LOCK_EX, LOCK_NB, flock
from io import FileIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

from stagerunner_parts.compression import Compressor, compressor

Keeps: TypeAlias = Literal["truncate", "transaction", "nothing"]
Mode: TypeAlias = Literal["replace", "append", "new"]

STDOUT = Path("-")


def check_place(path: Path, *, in_place: bool) -> None:
    """Raises OSError, with a sentence, when no file can be written there; folders that are missing will be made."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder, so {path} can't be in it")
    if not os.access(path if in_place and path.exists() else folder, os.W_OK):
        raise PermissionError(f"{path} can't be written: permission denied")


class FileOutput(ABC):
    """A sink that writes one file. For the path "-" the runner writes what `rendered` gives to standard output."""

    keeps: Keeps = "truncate"
    _file: FileIO | None = None
    _member: Compressor | None = None
    _length = 0
    _gap = False

    def __init__(self, path: Path, mode: Mode) -> None:
        self.path = path
        self.mode: Mode = mode
        if self.stdout or self._is_device():
            self.keeps = "nothing"

    @property
    def stdout(self) -> bool:
        """Whether it goes to standard output."""
        return self.path == STDOUT

    @abstractmethod
    def encode(self, records: list[Any]) -> bytes:
        """In the last worker: what `write` is given. Raises TypeError or ValueError for a record it can't write."""

    def rendered(self, data: bytes) -> bytes:
        """The bytes of the output for what `encode` gave, called in order."""
        return data

    def check(self) -> None:
        """Raises OSError, with a sentence, when the file can't be written."""
        if self.stdout:
            return
        check_place(self.path, in_place=self._in_place)
        self._refuse_existing()

    def open(self, position: Any) -> None:
        """`position`: length in bytes to go on from; None for a new output. Raises OSError when it is not that long."""
        if self.stdout:
            return
        if position is None:
            self._open_anew()
        else:
            self._open_again(position)
        self._length = os.fstat(self._opened.fileno()).st_size
        self._gap = self.mode == "append" and not compressor(self.path) and self._ends_inside_a_line()

    def write(self, data: bytes) -> None:
        """Raises OSError when there is no more room, ValueError when records don't fit together."""
        if output := self.rendered(data):
            # What is appended begins on a line of its own, whatever was there before.
            self._put(b"\n" + output if self._gap else output)
            self._gap = False

    def position(self) -> Any:
        """Length in bytes. To be asked for after a commit."""
        return self._length

    def commit(self, row: Any) -> None:
        if self._member:
            self._put_plain(self._member.flush())
            self._member = None

    def sync(self) -> None:
        """See to it that what was written, or the renaming, outlives a loss of power."""
        if self._file:
            os.fsync(self._file.fileno())
        elif not self.stdout:
            folder = os.open(self.path.absolute().parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def finish(self) -> None:
        """Give the file its name; once more does no harm. Raises OSError when there is nothing to be named."""
        try:
            self._end_well()
            if not (self.stdout or self._in_place):
                self._name()
        finally:
            self.abort()  # only now: until it has its name, the file is ours alone

    def _name(self) -> None:
        if self._written.exists():
            self._refuse_existing()
            self._written.replace(self.path)
        elif not self.path.exists():
            raise FileNotFoundError(f"{self._written} is gone, so there is nothing to become {self.path}")

    def abort(self) -> None:
        """Close, and leave what there is for a resume."""
        if self._file:
            self._file.close()
            self._file = None

    def target(self) -> Path | None:
        """The file this sink owns, if there is one."""
        return None if self.stdout or self._is_device() else self.path

    def describe(self) -> str:
        return "standard output" if self.stdout else str(self.path)

    @property
    def _in_place(self) -> bool:
        return self.mode == "append" or self._is_device()

    @property
    def _written(self) -> Path:
        return self.path if self._in_place else self.path.with_name(f"{self.path.name}.partial")

    @property
    def _opened(self) -> FileIO:
        if self._file is None:
            raise ValueError(f"the sink for {self.path} is not open")
        return self._file

    def _is_device(self) -> bool:
        # /dev/null, a named pipe: nothing that could be renamed or cut off.
        return self.path.exists() and not self.path.is_file() and not self.path.is_dir()

    def _refuse_existing(self) -> None:
        if self.mode == "new" and self.path.exists():
            raise FileExistsError(f"{self.path} is there already, and mode `new` overwrites nothing")

    def _open_anew(self) -> None:
        self._refuse_existing()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._owned()
        if not self._in_place:
            self._file.truncate(0)

    def _owned(self) -> FileIO:
        """The file, locked as long as it is open. Raises BlockingIOError when another run has it."""
        file = FileIO(self._written, "ab+")
        if self._is_device():
            return file
        try:
            flock(file.fileno(), LOCK_EX | LOCK_NB)
            if not (self._written.exists() and os.path.samestat(self._written.stat(), os.fstat(file.fileno()))):
                raise BlockingIOError(f"{self._written} has just been given its name")
        except BlockingIOError:
            file.close()
            raise
        except OSError:
            pass  # a file system without locks
        return file

    def _open_again(self, position: int) -> None:
        length = self._written.stat().st_size if self._written.exists() else -1
        if length < position:
            found = "is gone" if length < 0 else f"has {length:,} bytes"
            raise OSError(f"{self._written} {found}, but {position:,} were written to it: can't go on")
        self._file = self._owned()
        self._file.truncate(position)

    def _end_well(self) -> None:
        if self._file and not self._length:
            # A compressed file of no bytes at all is a damaged one to those who read it.
            self._put(b"")
        self.commit(None)

    def _ends_inside_a_line(self) -> bool:
        return self._length > 0 and os.pread(self._opened.fileno(), 1, self._length - 1) != b"\n"

    def _put(self, data: bytes) -> None:
        self._member = self._member or compressor(self.path)
        self._put_plain(self._member.compress(data) if self._member else data)

    def _put_plain(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            written = self._opened.write(left) or 0
            self._length += written
            left = left[written:]
