"""The sink `sqlite`."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stagerunner import sink
from stagerunner_parts.sinks.database import SOON, DatabaseFile, quoted
from stagerunner_parts.sinks.rows import Names, Row, names_in, names_of, packed, unpacked

PRIMARY = 0xFF
"""The bits of an SQLite error code that hold the primary code; the bits above refine it."""


@sink("sqlite", suffixes=(".sqlite", ".sqlite3", ".db", ".db3"))
class Sqlite(DatabaseFile):
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

    begin = "BEGIN IMMEDIATE"
    _expected: frozenset[str] = frozenset()

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
        names, columns = {name.lower() for name in names_in(data)}, set(self._columns)
        return names <= columns and (self.missing == "fill" or names == columns)

    def _connect(self, patience: float, *, reading: bool) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=SOON, isolation_level=None)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # a lock or a full disk: a later attempt may succeed
            if is_locked(error):
                raise self._locked_too_long(error) from error
            raise OSError(errno.EIO, f"SQLite can't use {self.describe()}: {error}") from error
        except sqlite3.IntegrityError as error:
            raise self._refusal(str(error)) from error
        except sqlite3.Error as error:
            raise OSError(f"SQLite can't use {self.describe()}: {error}") from error

    def _is_locked(self, error: Exception) -> bool:
        return is_locked(error)

    def _in_transaction(self, connection: sqlite3.Connection) -> bool:
        return connection.in_transaction

    def _columns_of(self, table: str, patience: float | None = None) -> set[str]:
        with self._opened() as connection:
            found = self._patiently(connection, f"PRAGMA table_info({quoted(table)})", patience)
            return {row[1].lower() for row in found}

    def _groups(self, data: bytes) -> Iterator[tuple[Names, Names, list[Row]]]:
        return ((names, names, rows) for names, rows in unpacked(data))

    def _create(self, connection: sqlite3.Connection, made_of: Names) -> set[str]:
        connection.execute(f"CREATE TABLE {quoted(self._written)} ({', '.join(map(quoted, made_of))})")
        return {name.lower() for name in made_of}

    def write_or_refuse(self, data: bytes) -> dict[int, Exception]:
        """Write the rows that the table takes; those that break a constraint of it, by number, and which one."""
        refused: dict[int, Exception] = {}
        number = 0
        with self._transaction() as connection:
            for made_of, names, rows in self._groups(data):
                self._columns = self._columns or self._create(connection, made_of)
                self._refuse_unknown(names)
                refused |= self._insert_some(connection, names, rows, number)
                number += len(rows)
        self._rows += number - len(refused)
        return refused

    def _insert_some(
        self, connection: sqlite3.Connection, names: Names, rows: Sequence[Row], first: int
    ) -> dict[int, Exception]:
        """Insert the rows, or all but those that are refused. first: the number of the first one."""
        connection.execute("SAVEPOINT rows")
        try:
            self._insert(connection, names, rows)
        except sqlite3.IntegrityError as error:
            if not connection.in_transaction:  # the constraint says ON CONFLICT ROLLBACK: other rows are gone too
                raise
            connection.execute("ROLLBACK TO rows")
            if len(rows) == 1:
                return {first: error}
        else:
            return {}
        finally:
            if connection.in_transaction:
                connection.execute("RELEASE rows")
        middle = len(rows) // 2
        before = self._insert_some(connection, names, rows[:middle], first)
        return before | self._insert_some(connection, names, rows[middle:], first + middle)

    def _insert(self, connection: sqlite3.Connection, names: Names, rows: Sequence[Row]) -> None:
        columns, values = ", ".join(map(quoted, names)), ", ".join("?" * len(names))
        connection.executemany(f"INSERT INTO {quoted(self._written)} ({columns}) VALUES ({values})", rows)


def is_locked(error: Exception) -> bool:
    """Whether another connection holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & PRIMARY in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
