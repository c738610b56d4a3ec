"""What the sinks of database files share: a table in a file that keeps its own journal row.

Each commit is one transaction of the rows and the journal row, so the database itself says how far the run is. With
mode `replace` the rows go into a table TABLE.partial, which replaces the old one at the end. Until then, a row of its
own in the table of positions marks it as unfinished.
"""

from __future__ import annotations

import errno
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

from stagerunner_parts.sinks.output import Keeps, Mode
from stagerunner_parts.sinks.rows import Names, Row, names_of
from stagerunner_parts.sinks.tables import Extras, Missing, refuse_others
from stagerunner_parts.sinks.targets import check_target, resolved

POSITIONS = "_stagerunner"
"""The table that has one row for each output: its last journal row."""
PATIENCE = 30.0
"""Seconds to wait while another process has the database locked."""
SOON = 1.0
"""Seconds of waiting after which a message says so."""


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class DatabaseFile(ABC):
    """A table in a file as a sink. What differs from database to database is abstract."""

    pure = True

    keeps: ClassVar[Keeps] = "transaction"
    begin: ClassVar[str]
    """The statement that begins a transaction which writes."""

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
        self.path = path
        self.table = table
        target = resolved(path)
        self._real = target if isinstance(target, Path) else path
        self.mode: Mode = mode
        self._connection: Any = None
        self._columns: Collection[str] = ()
        self._rows = 0
        self._told = False
        self._written = self.table if self.mode == "append" else f"{self.table}.partial"

    # What a database has of its own

    @abstractmethod
    def _connect(self, patience: float, *, reading: bool) -> Any:
        """Open the file, or make a new one. reading: nothing will be written."""

    @abstractmethod
    def _asking(self) -> AbstractContextManager[None]:
        """Errors of the database become OSErrors in here."""

    @abstractmethod
    def _is_locked(self, error: Exception) -> bool:
        """Whether another connection holds the lock."""

    @abstractmethod
    def _in_transaction(self, connection: Any) -> bool: ...

    @abstractmethod
    def _columns_of(self, table: str, patience: float | None = None) -> Collection[str]:
        """The names of its columns in lower case; none if there is no such table."""

    @abstractmethod
    def _groups(self, data: bytes) -> Iterator[tuple[Any, Names, list[Row]]]:
        """The rows in what `encode` gave: (what a new table is made of, names of the columns, rows)."""

    @abstractmethod
    def _create(self, connection: Any, made_of: Any) -> Collection[str]:
        """Make the table that is written. Returns its columns, as `_columns_of` does."""

    @abstractmethod
    def _insert(self, connection: Any, names: Names, rows: Sequence[Row]) -> None: ...

    # What all have in common

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the table can't be written."""
        if not self.table or self.table.startswith((POSITIONS, "sqlite_")) or "\0" in self.table:
            raise ValueError(f"{self.table!r} can't be the name of a table")
        check_target(self.path, self._real, in_place=True)
        if self.path.exists():
            try:
                with self._opened(0, reading=True):
                    self._refuse_existing(patience=0)
            except OSError as error:  # a lock may be gone when the run opens the database
                if error.errno != errno.EBUSY:
                    raise
            self.abort()

    def _fitted(self, record: Any, columns: Collection[str]) -> Any:
        """The record, reduced to fields that have a column. Raises ValueError if it doesn't fit."""
        names = names_of(record)
        lower = [name.lower() for name in names]
        if len(lower) == len(columns) and all(name in columns for name in lower):
            return record
        extra = [name for name in names if name.lower() not in columns]
        refuse_others(extra, set(columns).difference(lower), self.extras, self.missing)
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
            for made_of, names, rows in self._groups(data):
                self._columns = self._columns or self._create(connection, made_of)
                self._refuse_unknown(names)
                self._insert(connection, names, rows)
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
    def _opened(self, patience: float | None = None, *, reading: bool = False) -> Iterator[Any]:
        with self._asking():
            if self._connection is None:
                self._connection = self._connect(PATIENCE if patience is None else patience, reading=reading)
            yield self._connection

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """Join the open transaction, or begin one. Only a commit ends it, not the end of the block."""
        with self._opened() as connection:
            if not self._in_transaction(connection):
                self._patiently(connection, self.begin)
                connection.execute(f"CREATE TABLE IF NOT EXISTS {POSITIONS} (output TEXT PRIMARY KEY, row TEXT)")
            yield connection

    def _patiently(self, connection: Any, sql: str, patience: float | None = None) -> Any:
        """Execute a statement that needs a lock, and say so once if it has to wait. SQLite's own waiting is silent."""
        until = monotonic() + (PATIENCE if patience is None else patience)
        while True:
            try:
                return connection.execute(sql)
            except Exception as error:
                if not self._is_locked(error) or monotonic() > until:
                    raise
                self._wait()

    def _wait(self) -> None:
        if not self._told:
            print(f"waiting for {self.path}, locked by another process", file=sys.stderr, flush=True)
            self._told = True
        sleep(0.05)  # SQLite returns at once where waiting could cause a deadlock

    def _locked_too_long(self, error: Exception) -> OSError:
        return OSError(errno.EBUSY, f"another process has kept {self.path} locked for {PATIENCE:g} s")

    def _refusal(self, why: str) -> OSError:
        fix = "with `on_error: dead_letter` or `skip` on the sink, the run goes on without it"
        return OSError(f"{self.describe()} refuses a row: {why}\n  {fix}")

    def _begin_anew(self, connection: Any) -> None:
        self._refuse_existing()
        if self._written != self.table:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(self._written)}")
            connection.execute(f"INSERT OR REPLACE INTO {POSITIONS} VALUES (?, 'null')", (self._written,))

    def _refuse_unknown(self, names: Names) -> None:
        unknown = [name for name in names if name.lower() not in self._columns]
        if unknown:
            raise ValueError(f"a record has the field {unknown[0]!r}, and {self.describe()} has no such column")

    def _refuse_existing(self, patience: float | None = None) -> None:
        if self.mode == "new" and self._columns_of(self.table, patience):
            raise FileExistsError(f"{self.describe()} already exists, and mode `new` overwrites nothing")

    def _is_marked(self, connection: Any) -> bool:
        marks = connection.execute(f"SELECT 1 FROM {POSITIONS} WHERE output = ?", (self._written,))
        return marks.fetchone() is not None
