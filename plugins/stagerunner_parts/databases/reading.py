"""Database files that are only read. The first bytes of a file say whether it is SQLite or DuckDB.

Every process of a run opens the file by itself, and all have to see the same rows. While a process *holds* the file,
what it sees stays the same; `hold` says which state that was, and two processes with the same answer see the same rows.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol
from urllib.parse import quote

from stagerunner_parts.values import nearest

PATIENCE = 30.0
"""Seconds to wait while another process has the database locked."""
OURS = "_stagerunner"
"""The table of positions, which sinks keep."""
WAL = b"\2"
"""In the header of an SQLite file: changes are in a file of their own."""
ATTEMPTS = 200
"""How often a moment without a change is looked for, when the reading begins."""

Row = tuple[Any, ...]


class Undecodable(bytes):
    """A text of an SQLite database that isn't UTF-8."""


class Database(Protocol):
    """A database file, opened to be read."""

    def hold(self) -> list[Any]:
        """Let nothing change from now on, as far as this process sees it; what it was then, as plain data."""

    def identity(self) -> list[Any]:
        """JSON data that differs if the file has changed between two runs."""

    def tables(self) -> list[str]:
        """Its tables and views."""

    def numbered(self, table: str) -> str | None:
        """The name of the number that each row of the table has, in order; None if they have none."""

    def cut(self, table: str, number: str, after: int, most: int) -> tuple[int, int]:
        """So many rows of the table (its quoted name) behind a number: the number of the last one, and how many they
        are. There are some."""

    def columns(self, query: str) -> list[str]:
        """The columns that it gives. Raises ValueError, if it isn't a query."""

    def rows(self, query: str, values: Sequence[Any] = ()) -> Rows: ...
    def lenient(self) -> None:
        """From now on, give texts that can't be decoded as Undecodable."""

    def close(self) -> None: ...


class Rows(Protocol):
    """The rows of a query, in the order in which it gives them."""

    def fetchmany(self, size: int, /) -> list[Row]: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def opened(path: Path) -> Database:
    """Open a database file. Raises OSError or ValueError, with a message, if it isn't one."""
    with open(path, "rb") as file:
        head = file.read(16)
    if head[8:12] == b"DUCK":
        return DuckdbFile(path)
    if head.startswith(b"SQLite format 3\0") or not head:
        return SqliteFile(path)
    raise ValueError(f"{path} isn't a database of SQLite or DuckDB")


def the_query(database: Database, path: Path, table: str | None, query: str | None) -> tuple[str, str | None]:
    """(a query that gives the rows, the table or None): of the only table, if neither is given. Raises ValueError."""
    if table is not None and query is not None:
        raise ValueError("give either `table` or `query`")
    if query is not None:
        return query.rstrip().rstrip(";"), None
    tables = database.tables()
    if table is None:
        if len(tables) != 1:
            listed = f"{len(tables)} tables: {', '.join(tables)}" if tables else "no table"
            raise ValueError(f"{path} has {listed}; name what to read with `table` or `query`")
        table = tables[0]
    elif table.lower() not in map(str.lower, tables):
        near = nearest(table, tuple(tables))
        others = f"; did you mean {near!r}?" if near else f"; there is {', '.join(tables)}" if tables else ""
        raise ValueError(f"{path} has no table {table!r}{others}")
    return f"SELECT * FROM {quoted(table)}", table


def checked(path: Path, table: str | None, query: str | None) -> list[str]:
    """The columns of the table or query. Raises OSError or ValueError, with a message, if it can't be."""
    database = opened(path)
    try:
        return database.columns(the_query(database, path, table, query)[0])
    finally:
        database.close()


def numbered_rows(path: Path, table: str | None, query: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """All rows of a table or query, numbered from 1. Raises OSError or ValueError."""
    database = opened(path)
    try:
        chosen, _ = the_query(database, path, table, query)
        columns, rows = database.columns(chosen), database.rows(chosen)
        numbers = count(1)
        while some := rows.fetchmany(1000):
            for row in some:
                yield next(numbers), dict(zip(columns, row, strict=True))
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} can't be read: {error}") from None
    finally:
        database.close()


class SqliteFile:
    """A file of SQLite. A read transaction holds it: with journal mode WAL others may write then, else they wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._asking():
            self._connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=ro",
                uri=True,
                timeout=PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                why = f"another process has kept {self._path} locked for {PATIENCE:g} s"
                raise OSError(errno.EBUSY, why) from error
            raise
        except sqlite3.DatabaseError as error:
            raise OSError(f"SQLite can't read {self._path}: {error}") from error

    def hold(self) -> list[Any]:
        for _ in range(ATTEMPTS):
            before = self._standing()
            with self._asking():
                self._connection.execute("BEGIN")
                self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if (standing := self._standing()) == before:
                return standing
            self._connection.execute("ROLLBACK")
        raise OSError(errno.EBUSY, f"{self._path} is written to all the time")

    def _standing(self) -> list[Any]:
        """What any change changes: a counter in the file; in journal mode WAL, where its log ends."""
        file = self._path.stat()
        with open(self._path, "rb") as database:
            head = database.read(28)
        counter = head[24:28].hex()
        if head[18:19] == WAL:
            try:
                with open(f"{self._path}-shm", "rb") as log:
                    counter = log.read(48)[8:].hex()
            except FileNotFoundError:
                pass  # nothing is in the log
        return [file.st_dev, file.st_ino, counter]

    def identity(self) -> list[Any]:
        log = Path(f"{self._path}-wal")
        return [*_stamp(self._path), *(_stamp(log) if log.exists() and log.stat().st_size else [])]

    def tables(self) -> list[str]:
        query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid"
        names = [name for (name,) in self.rows(query).fetchall()]
        return [name for name in names if name != OURS and not name.startswith("sqlite_")]

    def numbered(self, table: str) -> str | None:
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)"
        if self.rows(query, (table,)).fetchone() is None:
            return None
        taken = [row[1].lower() for row in self.rows(f"PRAGMA table_info({quoted(table)})").fetchall()]
        name = next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)
        try:
            self._connection.execute(f"SELECT {name} FROM {quoted(table)} LIMIT 0")
        except sqlite3.OperationalError:  # WITHOUT ROWID
            return None
        return name

    def cut(self, table: str, number: str, after: int, most: int) -> tuple[int, int]:
        behind = f"SELECT {number} AS n FROM {table} WHERE {number} > ? ORDER BY {number} LIMIT {most}"
        return self.rows(f"SELECT max(n), count(*) FROM ({behind})", (after,)).fetchone() or (after, 0)

    def columns(self, query: str) -> list[str]:
        with self._asking():
            try:
                described = self._connection.execute(f"SELECT * FROM ({query}\n) LIMIT 0").description
            except (sqlite3.OperationalError, sqlite3.Warning, sqlite3.ProgrammingError) as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                    raise
                raise ValueError(f"SQLite refuses the query: {error}") from None
        return [column[0] for column in described]

    def rows(self, query: str, values: Sequence[Any] = ()) -> Rows:
        with self._asking():
            return self._connection.execute(query, values)

    def lenient(self) -> None:
        self._connection.text_factory = _text

    def close(self) -> None:
        self._connection.close()


class DuckdbFile:
    """A file of DuckDB. While any process has it open to read, nobody can write to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._module = duckdb(path)
        self._connection = self._patiently()
        self._connection.execute("SET threads = 1; SET timezone = 'UTC'")  # one thread gives rows in one order

    def _patiently(self) -> Any:
        """Connect; wait while another process has the file open to write."""
        until = monotonic() + PATIENCE
        while True:
            try:
                return self._module.connect(str(self._path), read_only=True)
            except self._module.IOException as error:
                if "lock" not in str(error):
                    raise ValueError(f"DuckDB can't read {self._path}: {first_line(error)}") from None
                if monotonic() > until:
                    why = f"another process has kept {self._path} locked for {PATIENCE:g} s"
                    raise OSError(errno.EBUSY, why) from None
                sleep(0.05)

    def hold(self) -> list[Any]:
        return _stamp(self._path)

    def identity(self) -> list[Any]:
        return _stamp(self._path)

    def tables(self) -> list[str]:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY table_name"
        return [name for (name,) in self.rows(query).fetchall() if name != OURS]

    def numbered(self, table: str) -> str | None:
        try:
            self._connection.execute(f"SELECT rowid FROM {quoted(table)} LIMIT 0")
        except self._module.Error:  # a view
            return None
        return "rowid"

    def cut(self, table: str, number: str, after: int, most: int) -> tuple[int, int]:
        # By the width: ordering would look at all the rows that are left. Rows that were deleted leave holes.
        (first,) = self.rows(f"SELECT min({number}) FROM {table} WHERE {number} > ?", (after,)).fetchone() or (after,)
        within = f"SELECT max({number}), count(*) FROM {table} WHERE {number} >= ? AND {number} < ?"
        return self.rows(within, (first, first + most)).fetchone() or (after, 0)

    def columns(self, query: str) -> list[str]:
        try:
            described = self._connection.execute(f"SELECT * FROM ({query}\n) LIMIT 0").description
        except self._module.Error as error:
            raise ValueError(f"DuckDB refuses the query: {first_line(error)}") from None
        return [column[0] for column in described]

    def rows(self, query: str, values: Sequence[Any] = ()) -> Rows:
        try:
            found: Rows = self._connection.execute(query, list(values))
        except self._module.Error as error:
            raise ValueError(f"DuckDB refuses the query of {self._path}: {first_line(error)}") from None
        return found

    def lenient(self) -> None:
        pass

    def close(self) -> None:
        self._connection.close()


def duckdb(path: Path) -> Any:
    """The module. Raises ValueError, saying what to install, if it is missing."""
    try:
        return import_module("duckdb")
    except ModuleNotFoundError:
        raise ValueError(f"{path} needs DuckDB: pip install 'stagerunner[duckdb]'") from None


def first_line(error: Exception) -> str:
    """What DuckDB says, without the piece of the query that it draws."""
    return str(error).partition("\n")[0]


def _stamp(path: Path) -> list[Any]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Undecodable(data)
