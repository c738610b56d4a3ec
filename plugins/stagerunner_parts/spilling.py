"""Groups on disk, for which there is no room in memory.

They are in a database of SQLite's without a name: its file is in the folder for temporary files ($SQLITE_TMPDIR,
$TMPDIR or /var/tmp), and the system removes it with the process, however that ends.
"""

from __future__ import annotations

import errno
import marshal
import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import islice
from typing import Any, NamedTuple

CACHE = 16 * 2**20
"""Bytes of the database in memory."""

TOGETHER = 4096
"""Groups in one piece of a snapshot."""


class Row(NamedTuple):
    """A group. number: how many came before it. by: the values of its fields. states: one for each aggregation."""

    number: int
    by: list[Any]
    states: list[Any]


class Spill:
    """Rows by key. A key is what `key_of` gives, or a tuple of these. Raises OSError if the disk is full."""

    def __init__(self) -> None:
        self._failure: OSError | None = None
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE // 1024}"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE groups (key BLOB PRIMARY KEY, number INTEGER, row BLOB) WITHOUT ROWID")

    def take(self, key: Any) -> Row | None:
        """The row of a key, which is then no longer here; None if there is none."""
        name = _name(key)
        found = self._execute("SELECT row FROM groups WHERE key = ?", (name,)).fetchone()
        if found is None:
            return None
        self._execute("DELETE FROM groups WHERE key = ?", (name,))
        return Row(*pickle.loads(found[0]))

    def put(self, rows: Iterable[tuple[Any, Row]]) -> None:
        """Add rows; what is here under their keys gives way. If that fails, nothing here can be used any more."""
        packed = ((_name(key), row.number, pickle.dumps(tuple(row), 5)) for key, row in rows)
        self._execute("BEGIN")
        try:
            self._db.executemany("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", packed)
        except sqlite3.Error as error:
            raise self._failed(error) from None
        self._execute("COMMIT")

    def rows(self) -> Iterator[Row]:
        """All rows by number. Nothing may be put or taken meanwhile."""
        return (Row(*pickle.loads(data)) for data in self._data())

    def pieces(self) -> Iterator[bytes]:
        """All rows by number, for a snapshot."""
        data = self._data()
        while piece := b"".join(islice(data, TOGETHER)):
            yield piece

    def close(self) -> None:
        self._db.close()

    def _data(self) -> Iterator[bytes]:
        return (data for (data,) in self._execute("SELECT row FROM groups ORDER BY number"))

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        if self._failure is not None:
            raise self._failure
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: sqlite3.Error) -> OSError:
        """The error for a full disk. There is no way back from it: nothing is written twice to be able to undo it."""
        why = f"the groups can't be kept in the folder for temporary files: {error}"
        full = error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
        self._failure = OSError(errno.ENOSPC, why) if full else OSError(why)
        return self._failure


def rows_in(piece: bytes) -> Iterator[Row]:
    """The rows of a piece of a snapshot."""
    data = BytesIO(piece)
    while data.tell() < len(piece):
        yield Row(*pickle.load(data))


def _name(key: Any) -> bytes:
    """The key as bytes. This version of the format is the one in which equal values always give equal bytes."""
    return marshal.dumps(key, 0)
