"""The sink `files`.

Files are written into the folder PATH.partial and moved into PATH when the run is complete. There, a log names every
file before it is written, so that a resume can remove what was written after the last commit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from stagerunner import sink
from stagerunner_parts.sinks.locking import inode_of
from stagerunner_parts.sinks.many import move, pack, unpack
from stagerunner_parts.sinks.naming import check_name, field_of, name_for
from stagerunner_parts.sinks.own_folder import OwnFolder
from stagerunner_parts.sinks.owned import OURS, partial_of
from stagerunner_parts.sinks.rendering import json_text

LOG = ".written"
"""The log in the folder. No file can have that name: those that begin with a dot get a `_` in front."""


@sink("files")
class Files:
    """Write a file for each record.

    The files have their names in the folder when the run is complete. A value in a name never leads out of it: `/` and
    control characters become `_`, and so on. Two records with the same name end the run.

    path: the folder.
    name: the name of each file, such as "{country}/{id}.json", where {id} is the value of a field.
    content: the field with the content, text or bytes; by default the whole record as JSON.
    mode: replace existing files of the same names and leave the others, or write only into a new or empty folder.
    """

    pure = True

    keeps = "truncate"
    _log: int | None = None
    _length = 0
    _known: dict[str, int] | None = None
    _position: dict[str, int] | None = None

    def __init__(
        self, *, path: Path, name: str, content: str | None = None, mode: Literal["replace", "new"] = "replace"
    ) -> None:
        self.path = path
        self.name = name
        self.content = content
        self.mode = mode
        self._real = Path(os.path.realpath(path))
        self._partial = partial_of(self._real)
        self._folder = OwnFolder(self._partial)

    # In the plan

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if no files can be written there."""
        check_name(self.name)
        if self._real.exists() and not self._real.is_dir():
            raise NotADirectoryError(f"{self.path} is a file, and `files` writes into a folder")
        above = next(parent for parent in self._real.parents if parent.exists())
        for folder in (above, self._real) if self._real.exists() else (above,):
            if not folder.is_dir():
                raise NotADirectoryError(f"{folder} is not a folder, so {self.path} can't be in it")
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(f"{self.path} can't be written: permission denied")

    def check_new(self) -> None:
        """Raises FileExistsError if there is something in the folder, and mode `new` overwrites nothing."""
        if self.mode == "new" and self._real.exists() and any(self._real.iterdir()):
            raise FileExistsError(f"{self.path} isn't empty, and mode `new` overwrites nothing")

    # In the last worker

    def encode(self, records: list[Any]) -> bytes:
        return pack((name_for(self.name, record), self._content(record)) for record in records)

    def _content(self, record: Mapping[Any, Any]) -> bytes:
        if self.content is None:
            return json_text(record) + b"\n"
        content = field_of(record, self.content)
        if isinstance(content, str):
            return content.encode()
        if isinstance(content, bytes | bytearray | memoryview):
            return bytes(content)
        raise TypeError(f"the content of a file is text or bytes, but {self.content!r} is {type(content).__name__}")

    # In the parent

    def left(self, position: Any) -> None:
        """Tell the sink the position of the unfinished run before this one."""
        self._known = position

    def open(self, position: Any) -> None:
        """Begin anew if `position` is None, else go on at it, without the files that were written after it.

        Raises OSError, with a message, if the folder isn't what the run to be resumed has left.
        """
        if position is None:
            self.check_new()
            self._folder.begin(
                (self._known or {}).get("folder"), lambda path: path.name == LOG and not path.stat().st_size
            )
        else:
            self._folder.go_on(position["folder"])
        self._log = os.open(self._partial / LOG, OURS | os.O_CREAT, 0o600)
        if position is not None:
            self._cut_back(position["bytes"])
        self._length = os.fstat(self._log).st_size
        self._position = self._whereabouts()

    def write(self, data: bytes) -> None:
        """Raises ValueError if two records have the same name, OSError if the disk is full."""
        files = list(unpack(data))
        self._refuse_twins([name for name, _ in files])
        # The log first: a file that isn't in it would stay after a resume.
        self._note([name for name, _ in files])
        for name, content in files:
            file = self._partial / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(file, "xb") as opened:
                opened.write(content)

    def position(self) -> Any:
        """As of the last commit: the length of the log in bytes, and the inode of the folder."""
        return self._position

    def commit(self, row: Any) -> None:
        self._position = self._whereabouts()

    def sync(self) -> None:
        """Make what was written, or the renaming, survive a power failure."""
        os.sync()  # thousands of files at once, each with its folder

    def finish(self) -> None:
        """Give the files their final names. May be called twice."""
        self.abort()
        folder = self._folder.inode or (self._known or {}).get("folder")
        if inode_of(self._partial) == folder:
            self.check_new()
            if not self._real.exists() or not any(self._real.iterdir()):
                self._partial.rename(self._real)
            else:
                self._move_all()
        if inode_of(self._real) == folder:
            (self._real / LOG).unlink(missing_ok=True)

    def abort(self) -> None:
        """Close, and keep what a resume needs."""
        if self._log is not None:
            os.close(self._log)
            self._log = None
        self._folder.close()

    def discard(self) -> None:
        """This run can't be resumed: leave no files. Called before `abort`."""
        self._folder.remove()

    def target(self) -> Path:
        """The folder that this sink writes, with links resolved."""
        return self._real

    def describe(self) -> str:
        return str(self.path)

    def _whereabouts(self) -> dict[str, int]:
        return {"bytes": self._length, "folder": self._folder.inode}

    def _refuse_twins(self, names: list[str]) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen or self._is_there(name):
                raise ValueError(f"two records have the name {name!r}; add a field to `name` that tells them apart")
            seen.add(name)

    def _is_there(self, name: str) -> bool:
        return os.path.lexists(self._partial / name)

    def _note(self, names: list[str]) -> None:
        assert self._log is not None
        left = memoryview("".join(f"{name}\n" for name in names).encode())
        while left:
            written = os.write(self._log, left)
            self._length += written
            left = left[written:]

    def _cut_back(self, length: int) -> None:
        """Remove the files that the log names after its first `length` bytes."""
        assert self._log is not None
        if os.fstat(self._log).st_size < length:
            raise OSError(f"{self._partial / LOG} is shorter than the run to be resumed has left it")
        for name in _names(self._partial / LOG, length):
            (self._partial / name).unlink(missing_ok=True)
        os.truncate(self._log, length)

    def _move_all(self) -> None:
        """Move the files into the folder that is there already."""
        for name in _names(self._partial / LOG, 0):
            move(self._partial / name, self._real / name, self._real, self.path)
        shutil.rmtree(self._partial)


def _names(log: Path, at: int) -> Iterator[str]:
    """The names in the log from this offset on. The last one may be incomplete: that file was never written."""
    with suppress(FileNotFoundError), open(log, "rb") as file:
        file.seek(at)
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1].decode()
