"""The sink `sqlite`.

Each commit is one transaction with the rows and the runner's own row in it, so the database says itself how far it is.
With mode `replace` the rows go into a table TABLE.partial, which takes the place of the old one at the end; a mark in
the runner's table says that this is still to be done.
"""

from __future__ import annotations

import errno
import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

from stagerunner import sink
from stagerunner_parts.sinks.columns import Extras, Missing, refuse_others
from stagerunner_parts.sinks.output import Keeps, Mode
from stagerunner_parts.sinks.places import check_place, end_of
from stagerunner_parts.sinks.rows import Names, names_in, names_of, packed, unpacked

BOOKS = "_stagerunner"
PATIENCE = 30.0
"""Seconds to wait for somebody else who writes into the database."""
SOON = 1.0
"""Seconds after which it is said that we wait."""
PRIMARY = 0xFF
"""What an error of SQLite is; the bits above say which kind of it."""


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


@sink("sqlite")
class Sqlite:
    """Write records as the rows of a table in an SQLite database.

    The columns are those of the table, or else the fields of the first record; their case doesn't matter. Numbers,
    texts and bytes are stored as they are, true and false as 1 and 0, decimals as text, times as ISO 8601, lists and
    mappings as JSON. Integers beyond 64 bits, nan, and text with NUL in it are refused.

    path: the database.
    table: the table.
    extras: a record with other fields: fail, or ignore those.
    missing: a record without all of them: fail, or fill its row with what the table has for them, mostly null.
    mode: replace an earlier table, append to it, or write a new one only.
    """

    pure = True

    keeps: ClassVar[Keeps] = "transaction"

    def __init__(
        self,
        *,
        path: Path,
        table: str,
        extras: Extras = "fail",
        missing: Missing = "fail",
        mode: Mode = "replace",
    ) -> None:
        self.extras: Extras = extras
        self.missing: Missing = missing
        self._expected: frozenset[str] = frozenset()
        self.path = path
        self.table = table
        end = end_of(path)
        self._real = end if isinstance(end, Path) else path
        self.mode: Mode = mode
        self._base: sqlite3.Connection | None = None
        self._columns: set[str] = set()
        self._rows = 0
        self._told = False
        self._written = self.table if self.mode == "append" else f"{self.table}.partial"

    def check(self) -> None:
        """Raises OSError or ValueError, with a sentence, when the table can't be written."""
        if not self.table or self.table.startswith((BOOKS, "sqlite_")) or "\0" in self.table:
            raise ValueError(f"{self.table!r} can't be the name of the table")
        check_place(self.path, self._real, in_place=True)
        if self.path.exists():
            try:
                with self._opened():
                    self._refuse_existing(patience=0)
            except OSError as error:  # who has locked it may be done when it is opened
                if error.errno != errno.EBUSY:
                    raise
            self.abort()

    def encode(self, records: list[Any]) -> bytes:
        if records and not self._expected:
            columns = frozenset(self.columns_of(records[0]))
            return packed(records, lambda record: self._fitted(record, columns))
        return packed(records, lambda record: self._fitted(record, self._expected))

    def columns_of(self, record: Any) -> list[str]:
        """The columns that a table has whose first record this is."""
        return [name.lower() for name in names_of(record)]

    def expect(self, columns: Iterable[str]) -> None:
        """Encode only what fits these."""
        self._expected = frozenset(columns)

    def columns(self) -> list[str] | None:
        """What the workers are to expect; None where there is no table yet."""
        return sorted(self._columns) or None

    def fits(self, data: bytes) -> bool:
        """Whether this was encoded for the columns that there are."""
        if not self._columns:
            return True
        names = {name.lower() for name in names_in(data)}
        return names <= self._columns and (self.missing == "fill" or names == self._columns)

    def _fitted(self, record: Any, columns: frozenset[str]) -> Any:
        """The record with the fields that there are columns for. Raises ValueError."""
        names = names_of(record)
        lower = [name.lower() for name in names]
        if columns.issuperset(lower) and len(lower) == len(columns):
            return record
        extra = [name for name in names if name.lower() not in columns]
        refuse_others(extra, columns.difference(lower), self.extras, self.missing)
        kept = {name: record[name] for name in names if name.lower() in columns}
        if not kept:
            raise ValueError("the record has none of the fields that are columns")
        return kept

    def open(self, position: Any) -> None:
        """`position`: rows written so far, or None for a new table. Raises OSError when the table is gone."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as base:
            if position is None:
                self._begin_anew(base)
            self._columns = self._columns_of(self._written)
            self._rows = position or 0
            if self._rows and not self._columns:
                raise FileNotFoundError(f"table {self._written} of {self.path} is gone: can't go on")

    def write(self, data: bytes) -> None:
        """Raises ValueError when a record has a field that the table has no column for."""
        with self._transaction() as base:
            for names, rows in unpacked(data):
                self._columns = self._columns or self._create(base, names)
                self._refuse_unknown(names)
                columns, values = ", ".join(map(quoted, names)), ", ".join("?" * len(names))
                base.executemany(f"INSERT INTO {quoted(self._written)} ({columns}) VALUES ({values})", rows)
                self._rows += len(rows)

    def position(self) -> int:
        """Rows written."""
        return self._rows

    def commit(self, row: Any) -> None:
        with self._transaction() as base:
            base.execute(f"INSERT OR REPLACE INTO {BOOKS} VALUES (?, ?)", (self.table, json.dumps(row)))
            self._patiently(base, "COMMIT")

    def sync(self) -> None:
        """Every commit outlives a loss of power already."""

    def last_row(self) -> Any:
        """What the runner gave the last commit that held; None if there was none."""
        if not self.path.exists():
            return None
        with self._opened() as base:
            if not self._columns_of(BOOKS):
                return None
            found = base.execute(f"SELECT row FROM {BOOKS} WHERE output = ?", (self.table,)).fetchone()
        return None if found is None else json.loads(found[0])

    def finish(self) -> None:
        """Put the new table in the place of the old one; once more does no harm."""
        with self._transaction() as base:
            if self._written != self.table and self._is_marked(base):
                self._refuse_existing()
                base.execute(f"DROP TABLE IF EXISTS {quoted(self.table)}")
                if self._columns_of(self._written):
                    base.execute(f"ALTER TABLE {quoted(self._written)} RENAME TO {quoted(self.table)}")
                base.execute(f"DELETE FROM {BOOKS} WHERE output = ?", (self._written,))
            self._patiently(base, "COMMIT")
        self.abort()

    def abort(self) -> None:
        """Close, without what came after the last commit."""
        if self._base:
            self._base.close()
            self._base = None

    def target(self) -> Path:
        return self._real

    def describe(self) -> str:
        return f"table {self.table} of {self.path}"

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._base is None:
                self._base = sqlite3.connect(self.path, timeout=SOON, isolation_level=None)
            yield self._base
        except sqlite3.OperationalError as error:  # a lock, a full disk: what may pass
            if is_locked(error):
                why = f"another process has kept {self.path} locked for {PATIENCE:g} s"
                raise OSError(errno.EBUSY, why) from error
            raise OSError(errno.EIO, f"SQLite can't use {self.path}: {error}") from error
        except sqlite3.Error as error:
            raise OSError(f"SQLite can't use {self.path}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """In the one that is under way, or a new one. A commit ends it, not the end of the block."""
        with self._opened() as base:
            if not base.in_transaction:
                self._patiently(base, "BEGIN IMMEDIATE")
                base.execute(f"CREATE TABLE IF NOT EXISTS {BOOKS} (output TEXT PRIMARY KEY, row TEXT)")
            yield base

    def _patiently(self, base: sqlite3.Connection, statement: str, patience: float | None = None) -> sqlite3.Cursor:
        """Execute what needs a lock. SQLite waits for it as well, but can't be asked to say so."""
        until = monotonic() + (PATIENCE if patience is None else patience)
        while True:
            try:
                return base.execute(statement)
            except sqlite3.OperationalError as error:
                if not is_locked(error) or monotonic() > until:
                    raise
                if not self._told:
                    print(f"waiting for {self.path}, locked by another process", file=sys.stderr, flush=True)
                    self._told = True
                sleep(0.05)  # where it sees that waiting would be in vain, it doesn't wait

    def _begin_anew(self, base: sqlite3.Connection) -> None:
        self._refuse_existing()
        if self._written != self.table:
            base.execute(f"DROP TABLE IF EXISTS {quoted(self._written)}")
            base.execute(f"INSERT OR REPLACE INTO {BOOKS} VALUES (?, 'null')", (self._written,))

    def _create(self, base: sqlite3.Connection, names: Names) -> set[str]:
        base.execute(f"CREATE TABLE {quoted(self._written)} ({', '.join(map(quoted, names))})")
        return {name.lower() for name in names}

    def _refuse_unknown(self, names: Names) -> None:
        unknown = [name for name in names if name.lower() not in self._columns]
        if unknown:
            raise ValueError(f"a record has the field {unknown[0]!r}, and {self.describe()} has no such column")

    def _refuse_existing(self, patience: float | None = None) -> None:
        if self.mode == "new" and self._columns_of(self.table, patience):
            raise FileExistsError(f"{self.describe()} is there already, and mode `new` overwrites nothing")

    def _is_marked(self, base: sqlite3.Connection) -> bool:
        return base.execute(f"SELECT 1 FROM {BOOKS} WHERE output = ?", (self._written,)).fetchone() is not None

    def _columns_of(self, table: str, patience: float | None = None) -> set[str]:
        """In lower case; none if there is no such table."""
        with self._opened() as base:
            found = self._patiently(base, f"PRAGMA table_info({quoted(table)})", patience)
            return {row[1].lower() for row in found}


def is_locked(error: sqlite3.Error) -> bool:
    """Whether somebody else has what is needed."""
    return getattr(error, "sqlite_errorcode", 0) & PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
