"""The sink `sqlite`.

Each commit is one transaction of the rows and the journal row, so the database itself says how far the run is. With
mode `replace` the rows go into a table TABLE.partial, which replaces the old one at the end. Until then, a row of its
own in the table of positions marks it as unfinished.
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
from stagerunner_parts.sinks.output import Keeps, Mode
from stagerunner_parts.sinks.rows import Names, names_in, names_of, packed, unpacked
from stagerunner_parts.sinks.tables import Extras, Missing, refuse_others
from stagerunner_parts.sinks.targets import check_target, resolved

POSITIONS = "_stagerunner"
"""The table that has one row for each output: its last journal row."""
PATIENCE = 30.0
"""Seconds to wait while another process has the database locked."""
SOON = 1.0
"""Seconds of waiting after which a message says so."""
PRIMARY = 0xFF
"""The bits of an SQLite error code that hold the primary code; the bits above refine it."""


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@sink("sqlite", suffixes=(".sqlite", ".sqlite3", ".db", ".db3"))
class Sqlite:
    """Write records as the rows of a table in an SQLite database.

    An existing table keeps its columns; a new one gets the fields of the first record. Case doesn't matter in names.
    Numbers, texts and bytes are stored as they are, true and false as 1 and 0, decimals as text, times as ISO 8601,
    lists and mappings as JSON. Integers beyond 64 bits, nan, and texts with a NUL character are refused.

    path: the database file.
    table: the name of the table.
    extras: what to do with fields that have no column: fail, or ignore them.
    missing: what to do if a record lacks fields: fail, or fill the columns with the table's defaults, mostly null.
    mode: replace an existing table, append to it, or write only a new one.
    """

    pure = True

    keeps: ClassVar[Keeps] = "transaction"

    def __init__(
        self,
        *,
        path: Path,
        table: str = "records",
        extras: Extras = "fail",
        missing: Missing = "fail",
        mode: Mode = "replace",
    ) -> None:
        self.extras: Extras = extras
        self.missing: Missing = missing
        self._expected: frozenset[str] = frozenset()
        self.path = path
        self.table = table
        target = resolved(path)
        self._real = target if isinstance(target, Path) else path
        self.mode: Mode = mode
        self._connection: sqlite3.Connection | None = None
        self._columns: set[str] = set()
        self._rows = 0
        self._told = False
        self._written = self.table if self.mode == "append" else f"{self.table}.partial"

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the table can't be written."""
        if not self.table or self.table.startswith((POSITIONS, "sqlite_")) or "\0" in self.table:
            raise ValueError(f"{self.table!r} can't be the name of a table")
        check_target(self.path, self._real, in_place=True)
        if self.path.exists():
            try:
                with self._opened():
                    self._refuse_existing(patience=0)
            except OSError as error:  # a lock may be gone when the run opens the database
                if error.errno != errno.EBUSY:
                    raise
            self.abort()

    def encode(self, records: list[Any]) -> bytes:
        if records and not self._expected:
            columns = frozenset(self.columns_of(records[0]))
            return packed(records, lambda record: self._fitted(record, columns))
        return packed(records, lambda record: self._fitted(record, self._expected))

    def columns_of(self, record: Any) -> list[str]:
        """The columns of a new table, if this is its first record."""
        return [name.lower() for name in names_of(record)]

    def expect(self, columns: Iterable[str]) -> None:
        """From now on, encode only records that fit these columns."""
        self._expected = frozenset(columns)

    def columns(self) -> list[str] | None:
        """The columns that workers should expect; None if there is no table yet."""
        return sorted(self._columns) or None

    def fits(self, data: bytes) -> bool:
        """Whether the data was encoded for the columns of this table."""
        if not self._columns:
            return True
        names = {name.lower() for name in names_in(data)}
        return names <= self._columns and (self.missing == "fill" or names == self._columns)

    def _fitted(self, record: Any, columns: frozenset[str]) -> Any:
        """The record, reduced to fields that have a column. Raises ValueError if it doesn't fit."""
        names = names_of(record)
        lower = [name.lower() for name in names]
        if columns.issuperset(lower) and len(lower) == len(columns):
            return record
        extra = [name for name in names if name.lower() not in columns]
        refuse_others(extra, columns.difference(lower), self.extras, self.missing)
        kept = {name: record[name] for name in names if name.lower() in columns}
        if not kept:
            raise ValueError("the record has no field that is a column of the table")
        return kept

    def open(self, position: Any) -> None:
        """`position`: rows written so far, or None for a new table. Raises OSError when the table is gone."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as connection:
            if position is None:
                self._begin_anew(connection)
            self._columns = self._columns_of(self._written)
            self._rows = position or 0
            if self._rows and not self._columns:
                raise FileNotFoundError(f"table {self._written} of {self.path} is gone, so the run can't be resumed")

    def write(self, data: bytes) -> None:
        """Raises ValueError when a record has a field that the table has no column for."""
        with self._transaction() as connection:
            for names, rows in unpacked(data):
                self._columns = self._columns or self._create(connection, names)
                self._refuse_unknown(names)
                columns, values = ", ".join(map(quoted, names)), ", ".join("?" * len(names))
                connection.executemany(f"INSERT INTO {quoted(self._written)} ({columns}) VALUES ({values})", rows)
                self._rows += len(rows)

    def position(self) -> int:
        """Rows written."""
        return self._rows

    def commit(self, row: Any) -> None:
        with self._transaction() as connection:
            connection.execute(f"INSERT OR REPLACE INTO {POSITIONS} VALUES (?, ?)", (self.table, json.dumps(row)))
            self._patiently(connection, "COMMIT")

    def sync(self) -> None:
        """Nothing to do: every commit already survives a power failure."""

    def last_row(self) -> Any:
        """The row of the last commit that succeeded; None if there was none."""
        if not self.path.exists():
            return None
        with self._opened() as connection:
            if not self._columns_of(POSITIONS):
                return None
            found = connection.execute(f"SELECT row FROM {POSITIONS} WHERE output = ?", (self.table,)).fetchone()
        return None if found is None else json.loads(found[0])

    def finish(self) -> None:
        """Replace the old table with the new one. May be called twice."""
        with self._transaction() as connection:
            if self._written != self.table and self._is_marked(connection):
                self._refuse_existing()
                connection.execute(f"DROP TABLE IF EXISTS {quoted(self.table)}")
                if self._columns_of(self._written):
                    connection.execute(f"ALTER TABLE {quoted(self._written)} RENAME TO {quoted(self.table)}")
                connection.execute(f"DELETE FROM {POSITIONS} WHERE output = ?", (self._written,))
            self._patiently(connection, "COMMIT")
        self.abort()

    def abort(self) -> None:
        """Close, and roll back what was written after the last commit."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def target(self) -> Path:
        return self._real

    def describe(self) -> str:
        return f"table {self.table} of {self.path}"

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self.path, timeout=SOON, isolation_level=None)
            yield self._connection
        except sqlite3.OperationalError as error:  # a lock or a full disk: a later attempt may succeed
            if is_locked(error):
                why = f"another process has kept {self.path} locked for {PATIENCE:g} s"
                raise OSError(errno.EBUSY, why) from error
            raise OSError(errno.EIO, f"SQLite can't use {self.path}: {error}") from error
        except sqlite3.Error as error:
            raise OSError(f"SQLite can't use {self.path}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Join the open transaction, or begin one. Only a commit ends it, not the end of the block."""
        with self._opened() as connection:
            if not connection.in_transaction:
                self._patiently(connection, "BEGIN IMMEDIATE")
                connection.execute(f"CREATE TABLE IF NOT EXISTS {POSITIONS} (output TEXT PRIMARY KEY, row TEXT)")
            yield connection

    def _patiently(self, connection: sqlite3.Connection, sql: str, patience: float | None = None) -> sqlite3.Cursor:
        """Execute a statement that needs a lock, and say so once if it has to wait. SQLite's own waiting is silent."""
        until = monotonic() + (PATIENCE if patience is None else patience)
        while True:
            try:
                return connection.execute(sql)
            except sqlite3.OperationalError as error:
                if not is_locked(error) or monotonic() > until:
                    raise
                if not self._told:
                    print(f"waiting for {self.path}, locked by another process", file=sys.stderr, flush=True)
                    self._told = True
                sleep(0.05)  # SQLite returns at once where waiting could cause a deadlock

    def _begin_anew(self, connection: sqlite3.Connection) -> None:
        self._refuse_existing()
        if self._written != self.table:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(self._written)}")
            connection.execute(f"INSERT OR REPLACE INTO {POSITIONS} VALUES (?, 'null')", (self._written,))

    def _create(self, connection: sqlite3.Connection, names: Names) -> set[str]:
        connection.execute(f"CREATE TABLE {quoted(self._written)} ({', '.join(map(quoted, names))})")
        return {name.lower() for name in names}

    def _refuse_unknown(self, names: Names) -> None:
        unknown = [name for name in names if name.lower() not in self._columns]
        if unknown:
            raise ValueError(f"a record has the field {unknown[0]!r}, and {self.describe()} has no such column")

    def _refuse_existing(self, patience: float | None = None) -> None:
        if self.mode == "new" and self._columns_of(self.table, patience):
            raise FileExistsError(f"{self.describe()} already exists, and mode `new` overwrites nothing")

    def _is_marked(self, connection: sqlite3.Connection) -> bool:
        marks = connection.execute(f"SELECT 1 FROM {POSITIONS} WHERE output = ?", (self._written,))
        return marks.fetchone() is not None

    def _columns_of(self, table: str, patience: float | None = None) -> set[str]:
        """The names of its columns in lower case; none if there is no such table."""
        with self._opened() as connection:
            found = self._patiently(connection, f"PRAGMA table_info({quoted(table)})", patience)
            return {row[1].lower() for row in found}


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another connection holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
