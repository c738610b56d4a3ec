"""A path with fields, `out/{country}/{day}.jsonl`: one file for each of their values.

The last worker groups its records by the name of their file. The parent appends to as many files as there are, with few
of them open at once. While the run goes on they lie in a hidden folder; at the end each goes to its place (`folders`).
In the hidden folder a database has, for each file, how long it was at the last commit that changed it, and before. The
journal may be one commit behind, never two, so a resume finds the length of every file. Nothing about a file that isn't
open or has just been written is kept in memory.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from stagerunner_parts.compression import Members
from stagerunner_parts.sinks.folders import FolderElsewhere, FolderHere
from stagerunner_parts.sinks.locking import inode_of, write_all
from stagerunner_parts.sinks.many import pack, unpack
from stagerunner_parts.sinks.naming import check_name
from stagerunner_parts.sinks.own_folder import OwnFolder

MOST_OPEN = 64
"""Files that are open at once, if the system allows as many."""

TOO_MANY = (errno.EMFILE, errno.ENFILE)
"""The errors with which the system refuses one more open file."""

POSITIONS = ".positions"
"""The database in the hidden folder. No file can have that name: none begins with a dot."""

TAKEN_OVER = (
    *("encode", "check", "check_new", "left", "open", "write", "position", "commit", "sync", "finish", "abort"),
    *("discard", "target", "beside", "exists", "why_not_joined", "describe"),
)
"""The methods of a sink for one file that this one answers instead."""

COLUMNED = ("columns", "expect", "fits")
"""Those of a sink with columns."""

_TABLE = """
CREATE TABLE IF NOT EXISTS files (
    name TEXT PRIMARY KEY, number INTEGER NOT NULL, length INTEGER NOT NULL, before INTEGER
) WITHOUT ROWID
"""

_NOTE = """
INSERT INTO files VALUES (?1, ?2, ?3, NULL)
ON CONFLICT (name) DO UPDATE SET number = ?2, length = ?3, before = CASE number WHEN ?2 THEN before ELSE length END
"""


class _Open:
    """An open file. members: what is being compressed; known: what the sink remembers of it."""

    def __init__(self, file: FileIO, members: Members, known: Any) -> None:
        self.file = file
        self.members = members
        self.known = known

    def end_member(self) -> None:
        write_all(self.file, self.members.ended())


class OneFile(Protocol):
    """What is needed of the sink that writes one file."""

    path: Path
    mode: Any

    def encode(self, records: list[Any]) -> bytes: ...
    def rendered(self, data: bytes) -> bytes: ...
    def check(self) -> None: ...
    def remembered(self) -> Any: ...
    def recall(self, known: Any) -> None: ...
    def found_in(self, path: Path) -> Any: ...


class Partitions:
    """Many files in the place of a sink's one. sink: encodes and renders the records of each. folder: where they go."""

    def __init__(self, sink: OneFile, folder: FolderHere | FolderElsewhere) -> None:
        self._sink = sink
        self._encode, self._check = sink.encode, sink.check
        self._folder = folder
        self._place = folder.place
        self._own = OwnFolder(folder.place)
        self._files: OrderedDict[str, _Open] = OrderedDict()
        self._changed: dict[str, int] = {}
        """The files written since the last commit, and how long each is once it is closed."""
        self._base: sqlite3.Connection | None = None
        self._number = 0
        """Of the last commit."""
        self._known: dict[str, int] | None = None

    def take_over(self) -> None:
        """Answer for the sink from now on."""
        columned = (name for name in COLUMNED if hasattr(self._sink, name))
        for name in (*TAKEN_OVER, *columned):
            setattr(self._sink, name, getattr(self, name))

    # In the plan

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if no files can be written there."""
        check_name(self._folder.name)
        if self._sink.mode == "append":
            raise ValueError(f"{self._folder} has fields, and such files can be replaced or new, not appended to")
        self._folder.check()
        self._check()

    def check_new(self) -> None:
        """Raises FileExistsError if there is such a file, and mode `new` overwrites nothing."""
        if self._sink.mode == "new" and (there := self._folder.first()) is not None:
            raise FileExistsError(f"{there} already exists, and mode `new` overwrites nothing")

    def target(self) -> None:
        """No single file."""

    def beside(self) -> Path:
        """What stands for all files: the journal is kept beside it."""
        return self._folder.beside

    def exists(self) -> bool:
        return self._folder.exists()

    def why_not_joined(self) -> str:
        return f"{self._folder} stands for many files"

    def describe(self) -> str:
        return str(self._folder)

    def columns(self) -> None:
        """Each file has columns of its own."""

    def expect(self, columns: Any) -> None:
        """See `columns`."""

    def fits(self, data: bytes) -> bool:
        return True

    # In the last worker

    def encode(self, records: list[Any]) -> bytes:
        """Raises ValueError for a record that lacks a field of the name."""
        groups: dict[str, list[Any]] = {}
        for record in records:
            groups.setdefault(self._folder.name_for(record), []).append(record)
        return pack((name, self._encode(group)) for name, group in groups.items())

    # In the parent

    def left(self, position: Any) -> None:
        """Tell the sink the position of the unfinished run before this one."""
        self._known = position

    def open(self, position: Any) -> None:
        """Begin anew if `position` is None, else go on at it: every file is cut to its length there.

        Raises OSError, with a message, if the folder isn't what the run to be resumed has left.
        """
        if position is None:
            self.check_new()
            self._own.begin((self._known or {}).get("folder"), lambda path: path.name.startswith("."))
        else:
            self._own.go_on(position["folder"])
        self._base = sqlite3.connect(self._place / POSITIONS, isolation_level=None)
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = OFF")
        self._base.execute(_TABLE)
        if position is not None:
            self._cut_back(self._base, position["number"])

    def _cut_back(self, base: sqlite3.Connection, number: int) -> None:
        """Cut every file to its length at commit `number`, and remove those that didn't exist then."""
        base.execute("BEGIN")
        base.execute("DELETE FROM files WHERE number > ? AND before IS NULL", (number,))
        base.execute("UPDATE files SET length = before, number = ?1, before = NULL WHERE number > ?1", (number,))
        base.execute("COMMIT")
        for path in self._all():
            name = str(path.relative_to(self._place))
            found = base.execute("SELECT length FROM files WHERE name = ?", (name,)).fetchone()
            if found is None:
                path.unlink()
            elif (size := path.stat().st_size) < found[0]:
                raise OSError(f"{path} has {size:,} bytes, but {found[0]:,} were written to it")
            elif size > found[0]:
                os.truncate(path, found[0])
        self._number = number

    def _all(self) -> Iterator[Path]:
        """The files in the hidden folder, without the database."""
        for folder, _, names in os.walk(self._place):
            for name in names:
                if not name.startswith("."):
                    yield Path(folder, name)

    def write(self, data: bytes) -> None:
        """Raises OSError if the disk is full."""
        for name, share in unpack(data):
            self._append(name, bytes(share))

    def _append(self, name: str, data: bytes) -> None:
        file = self._opened(name)
        self._sink.recall(file.known)
        output = self._sink.rendered(data)
        file.known = self._sink.remembered()
        self._changed[name] = -1
        write_all(file.file, file.members.packed(output))

    def _opened(self, name: str) -> _Open:
        found = self._files.get(name)
        if found is not None:
            self._files.move_to_end(name)
            return found
        while len(self._files) >= MOST_OPEN:
            oldest, file = self._files.popitem(last=False)
            self._close(oldest, file)
        found = self._files[name] = self._made(self._place / name)
        return found

    def _made(self, path: Path) -> _Open:
        """The file, opened. If the system lets this process have no more of them, others are closed for it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                known = self._sink.found_in(path) if path.exists() else None
                made = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
                return _Open(FileIO(made, "ab"), Members(self._sink.path), known)
            except OSError as error:
                if error.errno not in TOO_MANY or not self._files:
                    raise
            for _ in range(1 + len(self._files) // 2):  # half: the run needs some for itself
                self._close(*self._files.popitem(last=False))

    def _close(self, name: str, file: _Open) -> None:
        file.end_member()
        if name in self._changed:
            self._changed[name] = os.fstat(file.file.fileno()).st_size
        file.file.close()

    def position(self) -> dict[str, int]:
        """As of the last commit: its number, and the inode of the hidden folder."""
        return {"number": self._number, "folder": self._own.inode}

    def commit(self, row: Any) -> None:
        """Raises OSError if the disk is full."""
        if self._base is None or not self._changed:
            return
        for name, file in self._files.items():
            if name in self._changed:
                file.end_member()
                self._changed[name] = os.fstat(file.file.fileno()).st_size
        number = self._number + 1
        try:
            self._base.execute("BEGIN")
            self._base.executemany(_NOTE, ((name, number, length) for name, length in self._changed.items()))
            self._base.execute("COMMIT")
        except sqlite3.Error as error:
            raise OSError(f"{self._place / POSITIONS} can't be written: {error}") from None
        self._number = number
        self._changed.clear()

    def sync(self) -> None:
        """Make what was written, or the renaming, survive a power failure."""
        os.sync()  # many files at once, each with its folder

    def finish(self) -> None:
        """Move each file to its place. May be called twice.

        Raises OSError if a place can't be reached.
        """
        self.commit(None)
        self.abort()
        inode = self._own.inode or (self._known or {}).get("folder")
        if not inode or inode_of(self._place) != inode:
            return
        self._folder.take(self._all())
        shutil.rmtree(self._place)

    def abort(self) -> None:
        """Close, and keep what a resume needs."""
        for file in self._files.values():
            file.file.close()
        self._files.clear()
        if self._base is not None:
            self._base.close()
            self._base = None
        self._own.close()

    def discard(self) -> None:
        """This run can't be resumed: leave no files. Called before `abort`."""
        if self._own.inode:
            self.abort()
            self._own.remove()
