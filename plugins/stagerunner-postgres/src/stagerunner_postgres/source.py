"""The source `postgres`.

The parent holds one transaction for the life of the run and exports its snapshot. It cuts the rows by their key with a
cursor, and a worker reads the rows between two keys in a transaction of its own that sees the same snapshot:

    parent    BEGIN ─ pg_export_snapshot ─ cursor over the keys: MOVE n, FETCH 1 ─ …
    worker         └─▶ SET TRANSACTION SNAPSHOT ─ SELECT … WHERE key > a AND key <= b ORDER BY key ─ …

Keys travel as the texts that PostgreSQL writes for them, so that any type can be a key.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, tuple_row

from stagerunner import Malformed, Origin, Split, Want
from stagerunner_postgres.connecting import Connection, asking, connected, is_lost, meaning, names, one_line, server_of
from stagerunner_postgres.relations import Table, near, nested, table_of, types_of

WIDTH = 100.0
"""Bytes of a row, where the server has no figures."""

Key = list[str]
"""The values of the key columns, as PostgreSQL writes them."""


class Range(NamedTuple):
    """So many rows behind the key `after` (None: from the first) up to `until`. first: the number of the first one."""

    snapshot: str
    after: Key | None
    until: Key
    rows: int
    top: str | None
    first: int


class Rows(NamedTuple):
    """What is read. relation: what to select from. key, columns: names with their types. about: says which table."""

    relation: sql.Composable
    columns: tuple[str, ...]
    types: dict[str, str]
    key: tuple[str, ...]
    about: str
    oid: int | None = None
    width: float = 0.0


class Postgres:
    """Read a table or query of PostgreSQL, one record per row.

    All of it is read in one snapshot, whatever others write meanwhile. Rows come in the order of the key. A value comes
    as its Python type: numeric as Decimal, json as what it says, arrays as lists.

    dsn: where the server is, as libpq takes it; by default, its environment and service file say so.
    table: the table or view, with its schema if need be, as in SQL.
    query: a query, in place of a table.
    key: columns that together are unique and never null; by default, the primary key of the table.
    columns: the columns to read; by default, all.
    cursor: a column that grows with each change of a row, such as a time; with `after`, only newer rows are read.
    after: the value of the cursor behind which to begin.
    """

    pure = True

    def __init__(
        self,
        *,
        dsn: str = "",
        table: str | None = None,
        query: str | None = None,
        key: str | list[str] | None = None,
        columns: list[str] | None = None,
        cursor: str | None = None,
        after: str | int | float | None = None,
    ) -> None:
        self.dsn = dsn
        self.table = table
        self.query = query
        self.key = [key] if isinstance(key, str) else key
        self.columns = columns
        self.cursor = cursor
        self.after = None if after is None else str(after)
        self._connection: Connection | None = None
        self._rows: Rows
        self._snapshot = ""

    # In the parent

    def check(self) -> None:
        """Raises ValueError or OSError, with a message, if this can't be read."""
        if (self.table is None) == (self.query is None):
            raise ValueError("give either `table` or `query`")
        if self.after is not None and self.cursor is None:
            raise ValueError("`after` needs `cursor`, the column that it is compared with")
        connection = connected(self.dsn)
        try:
            rows = self._described(connection)
            with asking(self._where(rows)):
                connection.execute("BEGIN READ ONLY")
                connection.execute(
                    sql.SQL("SELECT 1 FROM {} WHERE {} LIMIT 0").format(rows.relation, self._newer(rows, None))
                )
        finally:
            connection.close()

    def _where(self, rows: Rows) -> Callable[[], str]:
        return lambda: f"{rows.about} of {server_of(self.dsn)}"

    def identity(self) -> Any:
        """A resumed run reads the same columns of the same table, by the same key; the rows are those of that time."""
        self._begin()
        rows = self._rows
        return {
            "table": rows.oid,
            "key": list(rows.key),
            "columns": [[name, rows.types[name]] for name in rows.columns],
        }

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: the last key that was read, the last key and cursor of the run, and how many rows came before."""
        self._begin()
        assert self._connection is not None
        ends = after or self._ends()
        if ends is None:
            return
        with asking(self._where(self._rows)):
            yield from self._cut(self._connection, ends, want)

    def locate(self, split: Split, number: int) -> Origin:
        return Origin(self._rows.about, None, Range(*split.data).first + number)

    def close(self) -> None:
        """End the transactions. Called in the parent when the run is over."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    __del__ = close

    def _begin(self) -> None:
        """Take the snapshot, once in a run."""
        if self._connection is not None:
            return
        self._connection = connected(self.dsn)
        self._rows = self._described(self._connection)
        with asking(self._where(self._rows)):
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            (self._snapshot,) = _one(self._connection, sql.SQL("SELECT pg_export_snapshot()"))

    def _described(self, connection: Connection) -> Rows:
        """Look up what is to be read. Raises ValueError if it can't be read so."""
        if self.table is not None:
            table = table_of(connection, self.table)
            types = {column.name: column.type for column in table.columns.values()}
            relation: sql.Composable = sql.SQL("{} AS q").format(table.identifier)
            key = self.key or self._primary(table)
            rows = Rows(relation, tuple(types), types, tuple(key), f"table {table.name}", table.oid, table.width)
            _check_key(table, key)
        else:
            assert self.query is not None
            with asking(lambda: f"the query of {server_of(self.dsn)}"):
                given = types_of(connection, self.query)
            types = dict(given)
            if twice := [name for name, _ in given if [other for other, _ in given].count(name) > 1]:
                raise ValueError(f"the query gives two columns {twice[0]!r}: name one of them with AS")
            if not self.key:
                raise ValueError("a query needs `key`: columns of it that together are unique and never null")
            rows = Rows(nested(self.query), tuple(types), types, tuple(self.key), "the query")
        for name in (*rows.key, *(self.columns or ()), *([self.cursor] if self.cursor else ())):
            if name not in types:
                raise ValueError(f"{rows.about} has no column {name!r}{near(name, list(types))}")
        return rows._replace(columns=tuple(self.columns)) if self.columns else rows

    def _primary(self, table: Table) -> list[str]:
        if not table.primary:
            raise ValueError(f"table {table.name} has no primary key: name unique columns in `key`")
        return table.primary

    def _ends(self) -> list[Any] | None:
        """Where a fresh run begins, and where it will end; None if there are no rows."""
        assert self._connection is not None
        rows, connection = self._rows, self._connection
        with asking(self._where(rows)):
            top = None
            if self.cursor is not None:
                query = sql.SQL("SELECT max({})::text FROM {} WHERE {}")
                newer = self._newer(rows, None)
                (top,) = _one(connection, query.format(sql.Identifier("q", self.cursor), rows.relation, newer))
                if top is None:
                    return None
                print(
                    f"postgres: {self.cursor} reaches {top}; the next run may go on after it",
                    file=sys.stderr,
                    flush=True,
                )
            query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1")
            last = sql.SQL(", ").join(sql.SQL("{} DESC").format(sql.Identifier("q", name)) for name in rows.key)
            newer = self._newer(rows, top)
            found = connection.execute(query.format(_texts(rows.key), rows.relation, newer, last)).fetchone()
        return None if found is None else [None, _whole(rows, found), top, 0]

    def _cut(self, connection: Connection, ends: list[Any], want: Want) -> Iterator[Split]:
        rows = self._rows
        after, until, top, first = ends
        query = sql.SQL("DECLARE keys NO SCROLL CURSOR FOR SELECT {} FROM {} WHERE {} AND {} ORDER BY {}")
        # Without bounds, a null in the key shows: in the order of the rows, or in how many there are between two keys.
        between = sql.SQL("true") if after is None else _between(rows, after, until)
        newer = self._newer(rows, top)
        connection.execute(query.format(_texts(rows.key), rows.relation, between, newer, names(rows.key, "q")))
        width = rows.width or WIDTH
        while True:
            most = want.records if want.exact else max(1, min(want.records, int(want.size / width)))
            number = (
                connection.execute(sql.SQL("MOVE {} FROM keys").format(sql.SQL(str(most - 1)))).rowcount
                if most > 1
                else 0
            )
            found = connection.execute("FETCH 1 FROM keys").fetchone()
            number += found is not None
            if not number:
                return
            end = until if found is None else _whole(rows, found)
            data = tuple(Range(self._snapshot, after, end, number, top, first))
            first, after = first + number, end
            yield Split(data, max(1, int(number * width)), [after, until, top, first], number)

    def _newer(self, rows: Rows, top: str | None) -> sql.Composable:
        """The condition on the cursor."""
        if self.cursor is None:
            return sql.SQL("true")
        column, kind = sql.Identifier("q", self.cursor), sql.SQL(rows.types[self.cursor])
        conditions: list[sql.Composable] = []
        if self.after is not None:
            conditions.append(sql.SQL("{} > {}::{}").format(column, sql.Literal(self.after), kind))
        if top is not None:
            conditions.append(sql.SQL("{} <= {}::{}").format(column, sql.Literal(top), kind))
        return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("{} IS NOT NULL").format(column)

    # In the first worker

    def read(self, split: Split) -> Iterator[Any]:
        part = Range(*split.data)
        try:
            return self._read(part)
        except psycopg.Error as error:
            if not is_lost(error):
                raise meaning(error, "the source") from None
            self.close()  # this connection only: the snapshot lives as long as that of the parent
        with asking(lambda: server_of(self.dsn)):
            return self._read(part)

    def _read(self, part: Range) -> Iterator[Any]:
        rows = self._joined(part.snapshot)
        query = sql.SQL("SELECT {} FROM {} WHERE {} AND {} ORDER BY {}")
        between, newer = _between(rows, part.after, part.until), self._newer(rows, part.top)
        assert self._connection is not None
        cursor = self._connection.cursor(row_factory=dict_row)
        cursor.execute(query.format(names(rows.columns, "q"), rows.relation, between, newer, names(rows.key, "q")))
        if cursor.rowcount != part.rows:
            key = ", ".join(rows.key)
            raise ValueError(
                f"rows of {rows.about} have the same key ({key}), or null in it: choose unique columns for `key`"
            )
        try:
            return iter(cursor.fetchall())
        except (psycopg.DataError, ValueError, OverflowError):  # a value that Python can't hold
            return _each(cursor)

    def _joined(self, snapshot: str) -> Rows:
        """Begin a transaction that sees the run's snapshot, once in a worker."""
        if self._connection is None or self._snapshot != snapshot:
            self.close()
            self._connection = connected(self.dsn)
            self._rows = self._described(self._connection)
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                self._connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
            except psycopg.Error as error:
                raise OSError(errno.ECONNRESET, f"the snapshot of the run is gone: {one_line(error)}") from None
            self._snapshot = snapshot
        return self._rows


def _each(cursor: psycopg.Cursor[dict[str, Any]]) -> Iterator[Any]:
    """The rows one by one, each that Python can't hold as malformed, with the texts that PostgreSQL writes."""
    result = cursor.pgresult
    assert result is not None
    for number in range(result.ntuples):
        cursor.scroll(number, "absolute")
        try:
            yield cursor.fetchone()
        except (psycopg.DataError, ValueError, OverflowError) as error:
            columns = [(result.fname(at) or b"").decode() for at in range(result.nfields)]
            values = [result.get_value(number, at) for at in range(result.nfields)]
            texts = [None if value is None else value.decode(errors="replace") for value in values]
            yield Malformed(type(error).__name__, str(error), dict(zip(columns, texts, strict=True)))


def _check_key(table: Table, key: list[str]) -> None:
    """Rows with null in the key would be lost. Of a view nothing is known: there, reading finds them."""
    nullable = [name for name in key if name in table.columns and not table.columns[name].required]
    if nullable and table.kind in "rp":
        raise ValueError(f"column {nullable[0]!r} of table {table.name} may be null, so it can't be part of the key")


def _between(rows: Rows, after: Key | None, until: Key) -> sql.Composable:
    key = sql.SQL("({})").format(names(rows.key, "q"))
    upper = sql.SQL("{} <= {}").format(key, _literals(rows, until))
    if after is None:
        return upper
    return sql.SQL("{} > {} AND {}").format(key, _literals(rows, after), upper)


def _literals(rows: Rows, values: Key) -> sql.Composable:
    typed = [
        sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(rows.types[name]))
        for name, value in zip(rows.key, values, strict=True)
    ]
    return sql.SQL("({})").format(sql.SQL(", ").join(typed))


def _texts(key: tuple[str, ...]) -> sql.Composable:
    """The key columns as texts, under names that no ORDER BY can mean."""
    return sql.SQL(", ").join(
        sql.SQL("{}::text AS {}").format(sql.Identifier("q", name), sql.Identifier(f"key {number}"))
        for number, name in enumerate(key)
    )


def _whole(rows: Rows, values: tuple[str | None, ...]) -> Key:
    key = [value for value in values if value is not None]
    if len(key) < len(values):
        name = rows.key[values.index(None)]
        raise ValueError(f"{rows.about} has rows in which {name!r}, part of the key, is null")
    return key


def _one(connection: Connection, query: sql.SQL | sql.Composed) -> Any:
    return connection.cursor(row_factory=tuple_row).execute(query).fetchone()
