"""The sink `postgres`.

Each commit is one transaction of the rows and the journal row, which stands in the table `_stagerunner` beside the
table. With mode `replace`, rows go into TABLE_partial, whose content replaces that of the table at the end.

    encode (worker) ─▶ write: buffer ─▶ COPY within a savepoint ─▶ commit: journal row, COMMIT ─▶ finish
"""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import psycopg
from psycopg import sql

from stagerunner_postgres.connecting import Connection, asking, connected, names, one_line, place_of, server_of
from stagerunner_postgres.encoding import Names, packed, shown, unpacked
from stagerunner_postgres.relations import Column, Table, table_of
from stagerunner_postgres.rows import Extras, Missing, RowEncoder

POSITIONS = "_stagerunner"
"""The table that has one row for each output: its last journal row."""
BUFFERED = 2**18
"""Bytes that are sent to the server at once."""
SOON, PATIENCE = 1, 30
"""Seconds of waiting for a lock after which a message says so, and after which the run stops."""
OWNER = 5
"""Seconds to wait for the session of a killed run to end."""
ORDER = "_stagerunner_order"
"""The column of the temporary table of `upsert` that says which row came last."""
LONGEST_NAME = 200
"""Characters of a file's name, which gets longer for the journal."""
TOO_LONG = 63
"""Bytes of a name that PostgreSQL keeps."""

REFUSED = (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.RaiseException)
"""Errors that are about a row."""

Mode = Literal["append", "replace", "upsert"]


class Postgres:
    """Write records as the rows of a table in PostgreSQL.

    The table is there already. The fields of a record go into the columns of the same names; columns that have a
    default may be left out. A record that doesn't fit its columns, or breaks a constraint of the table, is a failure
    of that record.

    dsn: where the server is, as libpq takes it; by default, its environment and service file say so.
    table: the table, with its schema if need be, as in SQL.
    mode: append to the table, replace all its rows, or upsert: replace the rows with the same key.
    key: for upsert, the columns of a unique index; by default, the primary key.
    columns: the columns to write, which must be there; by default, all those of the table.
    extras: what to do with fields that have no column: fail, or ignore them.
    missing: what to do if a record lacks columns without a default: fail, or fill them with null.
    """

    pure = True
    keeps: ClassVar[Literal["transaction"]] = "transaction"

    def __init__(
        self,
        *,
        dsn: str = "",
        table: str,
        mode: Mode = "append",
        key: str | list[str] | None = None,
        columns: list[str] | None = None,
        extras: Extras = "fail",
        missing: Missing = "fail",
    ) -> None:
        self.dsn = dsn
        self.table = table
        self.mode = mode
        self.key = [key] if isinstance(key, str) else key
        self.chosen = columns
        self.extras: Extras = extras
        self.missing: Missing = missing
        self._connection: Connection | None = None
        self._found: Table
        self._written: sql.Identifier
        self._encoder: RowEncoder
        self._buffer: list[tuple[Names, bytes]] = []
        self._buffered = 0
        self._rows = 0
        self._in_transaction = False

    # Before the run

    def check(self) -> None:
        """Raises ValueError or OSError, with a message, if the table can't be written so."""
        try:
            connection = self._connected()
            with asking(self.describe):
                for right in (
                    "INSERT",
                    *(["DELETE"] if self.mode == "replace" else []),
                    *(["UPDATE"] if self.mode == "upsert" else []),
                ):
                    if connection.execute(
                        "SELECT has_table_privilege(%s::oid, %s)", (self._found.oid, right)
                    ).fetchone() != (True,):
                        raise ValueError(f"{self.describe()}: the right to {right} is missing")
        finally:
            self.abort()

    def describe(self) -> str:
        return f"table {self.table} of {server_of(self.dsn)}"

    def beside(self) -> Path:
        """The output is no file: its journal stands in the current folder, under a name that says where it is."""
        name = "-".join(["postgres", *place_of(self.dsn), self.table])
        return Path("".join(c if c.isalnum() or c in "._-" else "_" for c in name)[:LONGEST_NAME])

    # In the last worker

    def expect(self, columns: list[list[Any]]) -> None:
        """From now on, encode for these columns."""
        found = [Column(*column) for column in columns]
        self._encoder = RowEncoder(found, frozenset(self.chosen or ()), extras=self.extras, missing=self.missing)

    def encode(self, records: list[Any]) -> bytes:
        return packed([self._encoder.row(record) for record in records])

    # In the parent

    def columns(self) -> list[list[Any]]:
        """The columns that workers encode for."""
        chosen = self.chosen or list(self._found.columns)
        return [list(self._found.columns[name]) for name in chosen]

    def open(self, position: int | None) -> None:
        """`position`: rows written so far, or None for a new run. BlockingIOError: another run writes there."""
        connection = self._connected()
        with asking(self.describe):
            connection.execute("SET client_min_messages = warning")  # of our own tables nothing has to be told
            self._own(connection)
            with self._begun() as connection:
                self._open(connection, position)
            connection.execute("RESET client_min_messages")
        self._rows = position or 0

    def _open(self, connection: Connection, position: int | None) -> None:
        if position is None:
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE output = ANY (%s)").format(self._positions), ([self._label, self._mark],)
            )
        if self.mode == "replace":
            if position is None:
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(self._written))
                self._make_partial(connection)
                connection.execute(sql.SQL("INSERT INTO {} VALUES (%s, 'null')").format(self._positions), (self._mark,))
            elif not self._is_marked(connection):
                raise OSError(f"table {self._partial} is gone, so the run can't be resumed")

    def _make_partial(self, connection: Connection) -> None:
        """A table for the new rows, with the constraints of the old one. It shares sequences,
        but counts identities by itself."""
        like = (
            "CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING GENERATED)"
        )
        connection.execute(sql.SQL(like).format(self._written, self._found.identifier))
        for name in self._counted:
            count = "ALTER TABLE {} ALTER {} ADD GENERATED BY DEFAULT AS IDENTITY"
            connection.execute(sql.SQL(count).format(self._written, sql.Identifier(name)))

    @property
    def _counted(self) -> list[str]:
        """The identity columns."""
        return [name for name, column in self._found.columns.items() if column.identity]

    def write(self, data: Any) -> None:
        for columns, lines in unpacked(data):
            if self._buffer and self._buffer[-1][0] == columns:
                self._buffer[-1] = (columns, self._buffer[-1][1] + lines)
            else:
                self._buffer.append((columns, lines))
            self._buffered += len(lines)
            self._rows += lines.count(b"\n")
        if self._buffered > BUFFERED:
            with asking(self.describe), self._begun() as connection:
                self._send(connection)

    def write_or_refuse(self, data: Any) -> dict[int, Exception]:
        """Send the rows at once, all but those that the server refuses; these by number, and why."""
        refused: dict[int, Exception] = {}
        number = 0
        with asking(self.describe), self._begun() as connection:
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # at the commit, none would be known
            for columns, lines in unpacked(data):
                rows = lines.splitlines(keepends=True)
                refused |= self._send_some(connection, columns, rows, number)
                number += len(rows)
        self._rows += number - len(refused)
        return refused

    def position(self) -> int:
        """Rows written."""
        return self._rows

    def commit(self, row: Any) -> None:
        with asking(self.describe), self._begun() as connection:
            self._send(connection)
            insert = "INSERT INTO {} VALUES (%s, %s) ON CONFLICT (output) DO UPDATE SET row = excluded.row"
            connection.execute(sql.SQL(insert).format(self._positions), (self._label, json.dumps(row)))
            self._end(connection)

    def sync(self) -> None:
        """Nothing to do: the server decides what a commit survives."""

    def last_row(self) -> Any:
        """The row of the last commit that succeeded; None if there was none."""
        with asking(self.describe):
            connection = self._connected()
            if connection.execute("SELECT to_regclass(%s)", (self._positions.as_string(),)).fetchone() == (None,):
                return None
            query = sql.SQL("SELECT row FROM {} WHERE output = %s").format(self._positions)
            found = connection.execute(query, (self._label,)).fetchone()
        return None if found is None else json.loads(found[0])

    def finish(self) -> None:
        """Put the new rows in place of the old ones. May be called twice."""
        with asking(self.describe), self._begun() as connection:
            if self.mode == "replace" and self._is_marked(connection):
                self._patiently(connection, lambda: self._replace(connection))
            self._end(connection)
        self.abort()

    def _replace(self, connection: Connection) -> None:
        """Readers see the old rows up to the commit, and wait for nothing: so the old rows are deleted one by one."""
        target = self._found.identifier
        every = names(list(self._found.columns))
        connection.execute(sql.SQL("DELETE FROM {}").format(target))
        insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}")
        connection.execute(insert.format(target, every, every, self._written))
        for name in self._counted:
            count = sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {} HAVING max({}) > 0")
            column = sql.Identifier(name)
            connection.execute(count.format(sql.Literal(target.as_string()), sql.Literal(name), column, target, column))
        connection.execute(sql.SQL("DROP TABLE {}").format(self._written))
        connection.execute(sql.SQL("DELETE FROM {} WHERE output = %s").format(self._positions), (self._mark,))

    def abort(self) -> None:
        """Close; the server rolls back what was written after the last commit."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._in_transaction = False

    __del__ = abort

    # The session

    def _connected(self) -> Connection:
        if self._connection is None:
            connection = connected(self.dsn)
            try:
                self._look_up(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _look_up(self, connection: Connection) -> None:
        """Raises ValueError if there is no such table, or it lacks what the options name."""
        self._found = found = table_of(connection, self.table)
        if found.kind not in "rp":
            raise ValueError(f"{self.table} isn't a table that rows can be written to")
        for name in (*(self.chosen or ()), *(self.key or ())):
            if name not in found.columns:
                raise ValueError(f"table {self.table} has no column {name!r}: it has {', '.join(found.columns)}")
        if self.mode == "upsert":
            self._check_upsert(found)
        self._partial = _partial_of(found.name)
        written = self._partial if self.mode == "replace" else found.name
        self._written = sql.Identifier(found.schema, written)
        self._positions = sql.Identifier(found.schema, POSITIONS)
        self._label, self._mark = found.name, self._partial

    def _check_upsert(self, found: Table) -> None:
        key = self.key or found.primary
        if not key:
            raise ValueError(f"table {self.table} has no primary key: name the columns of a unique index in `key`")
        if sorted(key) not in found.unique:
            raise ValueError(
                f"table {self.table} has no unique index on ({', '.join(key)}), which `mode: upsert` needs"
            )
        if self.chosen and not set(key) <= set(self.chosen):
            raise ValueError(f"`columns` needs those of the key: {', '.join(key)}")

    def _own(self, connection: Connection) -> None:
        """Make this run the only one that writes to the table. Raises BlockingIOError if another one does."""
        lock = "SELECT pg_advisory_lock(hashtextextended('stagerunner ' || %s, 0))"
        connection.execute(f"SET lock_timeout = '{OWNER}s'")
        try:
            connection.execute(lock, (str(self._found.oid),))
        except psycopg.errors.LockNotAvailable:
            raise BlockingIOError(errno.EAGAIN, "another run writes to it") from None
        connection.execute(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} (output text PRIMARY KEY, row text)").format(self._positions)
        )

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """Join the open transaction, or begin one. Only a commit ends it, not the end of the block."""
        connection = self._connected()
        if not self._in_transaction:
            connection.execute("BEGIN")
            self._in_transaction = True
            lock = sql.SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(self._found.identifier)
            self._patiently(connection, lambda: connection.execute(lock))
            if self.mode == "upsert":
                self._make_room(connection)
        yield connection

    def _make_room(self, connection: Connection) -> None:
        """The temporary table that rows are copied into before they are merged."""
        if connection.execute("SELECT to_regclass('pg_temp._stagerunner_rows')").fetchone() == (None,):
            listed = names(list(self._found.columns))
            make = "CREATE TEMP TABLE _stagerunner_rows AS SELECT {} FROM {} WITH NO DATA"
            connection.execute(sql.SQL(make).format(listed, self._found.identifier))
            connection.execute(f"ALTER TABLE _stagerunner_rows ADD {ORDER} bigserial")

    def _end(self, connection: Connection) -> None:
        try:
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except REFUSED as error:
            known = (
                "with `on_error: dead_letter` or `skip` on the sink, deferred constraints are checked record by record"
            )
            raise OSError(f"{self.describe()} refuses rows at their commit: {_why(error)}\n  {known}") from None
        connection.execute("COMMIT")
        self._in_transaction = False

    def _is_marked(self, connection: Connection) -> bool:
        marks = sql.SQL("SELECT 1 FROM {} WHERE output = %s").format(self._positions)
        return connection.execute(marks, (self._mark,)).fetchone() is not None

    def _patiently(self, connection: Connection, attempt: Callable[[], Any]) -> None:
        """Do something that may have to wait for a lock: say so after a moment, and wait no longer than `PATIENCE`."""
        try:
            self._within(connection, attempt, SOON)
        except psycopg.errors.LockNotAvailable:
            print(f"waiting for {self.describe()}, locked by another session", file=sys.stderr, flush=True)
            try:
                self._within(connection, attempt, PATIENCE)
            except psycopg.errors.LockNotAvailable:
                raise OSError(
                    errno.EBUSY, f"another session has kept {self.describe()} locked for {PATIENCE} s"
                ) from None

    def _within(self, connection: Connection, attempt: Callable[[], Any], seconds: int) -> None:
        """Do it within a savepoint; what fails is undone. Raises what the server says."""
        connection.execute(f"SAVEPOINT attempt; SET LOCAL lock_timeout = '{seconds}s'")
        try:
            attempt()
        except psycopg.Error:
            if not connection.closed:
                connection.execute("ROLLBACK TO attempt; RELEASE attempt")
            raise
        connection.execute("RELEASE attempt")

    # Rows

    def _send(self, connection: Connection) -> None:
        """Send what is buffered. Raises OSError that names the row, if the server refuses one."""
        buffered, self._buffer, self._buffered = self._buffer, [], 0
        for columns, lines in buffered:
            try:
                self._patiently(connection, partial(self._copy, connection, columns, lines))
            except REFUSED as error:
                raise self._refusal(connection, columns, lines.splitlines(keepends=True), error) from None

    def _send_some(
        self, connection: Connection, columns: Names, lines: list[bytes], first: int
    ) -> dict[int, Exception]:
        """Send the rows, or all but those that are refused, found by halving. first: the number of the first one."""
        try:
            self._patiently(connection, partial(self._copy, connection, columns, b"".join(lines)))
        except REFUSED as error:
            if len(lines) == 1:
                return {first: type(error)(_why(error))}
        else:
            return {}
        middle = len(lines) // 2
        before = self._send_some(connection, columns, lines[:middle], first)
        return before | self._send_some(connection, columns, lines[middle:], first + middle)

    def _copy(self, connection: Connection, columns: Names, lines: bytes) -> None:
        into = sql.SQL("_stagerunner_rows") if self.mode == "upsert" else self._written
        with (
            connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(into, names(columns))) as copy,
        ):
            copy.write(lines)
        if self.mode == "upsert":
            connection.execute(self._merge(columns))
            connection.execute("DELETE FROM _stagerunner_rows")

    def _merge(self, columns: Names) -> sql.Composed:
        """The statement that moves the temporary rows into the table: of equal keys, the last one."""
        key = self.key or self._found.primary
        others = [name for name in columns if name not in key]
        sets = [sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others]
        action = sql.SQL("UPDATE SET {}").format(sql.SQL(", ").join(sets)) if sets else sql.SQL("NOTHING")
        merge = (
            "INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM"
            " (SELECT DISTINCT ON ({key}) * FROM _stagerunner_rows ORDER BY {key}, {order} DESC) AS last"
            " ORDER BY {order} ON CONFLICT ({key}) DO {action}"
        )
        return sql.SQL(merge).format(
            target=self._written, columns=names(columns), key=names(key), order=sql.Identifier(ORDER), action=action
        )

    def _refusal(self, connection: Connection, columns: Names, lines: list[bytes], error: psycopg.Error) -> OSError:
        """The error for the first row that the server refuses, found by halving: all rows before it are taken."""
        taken, refused = 0, len(lines)
        while refused - taken > 1:
            middle = (taken + refused) // 2
            try:
                self._trying(connection, columns, lines[:middle])
            except REFUSED as found:
                refused, error = middle, found
            else:
                taken = middle
        row = shown(columns, lines[taken])
        return OSError(f"{self.describe()} refuses a row: {_why(error)}\n  row: {row}")

    def _trying(self, connection: Connection, columns: Names, lines: list[bytes]) -> None:
        connection.execute("SAVEPOINT trying")
        try:
            self._copy(connection, columns, b"".join(lines))
        finally:
            connection.execute("ROLLBACK TO trying; RELEASE trying")


def _why(error: psycopg.Error) -> str:
    """What the server says of a row, and by which constraint."""
    constraint = f" (constraint {error.diag.constraint_name})" if error.diag.constraint_name else ""
    return f"{one_line(error)}{constraint}"


def _partial_of(name: str) -> str:
    """The name with `_partial` behind it, short enough for PostgreSQL."""
    return name.encode()[: TOO_LONG - len("_partial")].decode(errors="ignore") + "_partial"
