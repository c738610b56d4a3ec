"""The source `sql`: the rows of a table or query in a database file.

A table whose rows are numbered is cut by their numbers, and each worker reads those between two. Anything else is
counted first, and cut by the place in the order in which the query gives its rows: each worker executes it and passes
over the rows of the others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stagerunner import Malformed, Origin, Split, Want, source
from stagerunner_parts.databases.reading import Database, Rows, Undecodable, opened, quoted, the_query

WIDTH = 100
"""Bytes of a row, where nothing is known about them."""
WIDEST = 2**20
"""At most so many bytes are taken for the average row: the file may hold much else."""


class Piece(NamedTuple):
    """Rows of the source. after, until: between two numbers of rows, the first one excluded; or between two places.

    standing: what the database was when the run began. rows: how many there are. first: the number of the first one.
    """

    standing: list[Any]
    numbered: str | None
    after: int
    until: int
    rows: int
    first: int


@source("sql", suffixes=(".sqlite", ".sqlite3", ".db", ".db3", ".duckdb"))
class Sql:
    """Read a table or query of a database file, SQLite or DuckDB, one record per row.

    The file is only read. The rows are those of one moment: if the database is changed while it is read, the run fails.
    Rows of a table come in the order of their numbers, those of a query in its own.

    path: the database file.
    table: the table or view; by default, the only one.
    query: a query, in place of a table.
    """

    pure = True

    def __init__(self, *, path: Path, table: str | None = None, query: str | None = None) -> None:
        self.path = path
        self.table = table
        self.query = query
        self._database: Database | None = None
        self._standing: list[Any] = []
        self._query = ""
        self._columns: list[str] = []
        self._rows: Rows | None = None
        self._at = 0

    # In the parent

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if it can't be read."""
        database = opened(self.path)
        try:
            self._look_up(database)
        finally:
            database.close()

    def identity(self) -> Any:
        return {"file": self._begun().identity(), "columns": self._columns}

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: the number of the last row, and how many there were."""
        database = self._begun()
        _, table = the_query(database, self.path, self.table, self.query)
        numbered = None if table is None else database.numbered(table)
        if numbered is None:
            return self._by_place(database, after or [0, 0], want)
        assert table is not None
        return self._by_number(database, quoted(table), numbered, after or [None, 0], want)

    def _by_number(
        self, database: Database, table: str, number: str, position: list[Any], want: Want
    ) -> Iterator[Split]:
        after, first = position
        query = f"SELECT (SELECT min({number}) FROM {table}), (SELECT max({number}) FROM {table})"
        lowest, highest = database.rows(query).fetchone() or (None, None)
        if highest is None:
            return
        width = min(WIDEST, max(WIDTH, self.path.stat().st_size // (highest - lowest + 1)))
        while after is None or after < highest:
            most = want.records if want.exact else max(1, min(want.records, want.size // width))
            begin = lowest - 1 if after is None else after
            until, rows = database.cut(table, number, begin, most)
            piece = Piece(self._standing, number, begin, until, rows, first)
            after, first = until, first + rows
            yield Split(tuple(piece), max(1, rows * width), [after, first], rows)

    def _by_place(self, database: Database, position: list[Any], want: Want) -> Iterator[Split]:
        start, _ = position
        (number,) = database.rows(f"SELECT count(*) FROM ({self._query}\n)").fetchone() or (0,)
        while start < number:
            stop = min(number, start + (want.records if want.exact else max(1, min(want.records, want.size // WIDTH))))
            piece = Piece(self._standing, None, start, stop, stop - start, start)
            yield Split(tuple(piece), WIDTH * (stop - start), [stop, stop], stop - start)
            start = stop

    def locate(self, split: Split, number: int) -> Origin:
        what = f" ({self.table})" if self.table else ""
        return Origin(f"{self.path}{what}", None, Piece(*split.data).first + number)

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()
            self._database = None

    __del__ = close

    def _begun(self) -> Database:
        """The database, held from the first call on."""
        if self._database is None:
            self._database = opened(self.path)
            self._look_up(self._database)
            self._standing = self._database.hold()
        return self._database

    def _look_up(self, database: Database) -> None:
        self._query, _ = the_query(database, self.path, self.table, self.query)
        self._columns = database.columns(self._query)

    # In the first worker

    def read(self, split: Split) -> Iterator[Any]:
        piece = Piece(*split.data)
        database = self._begun()
        if self._standing != piece.standing:
            raise OSError(
                f"{self.path} was changed while it was read: read a copy (`VACUUM INTO`), or when nothing else writes"
            )
        try:
            rows = self._of(database, piece)
        except sqlite3.OperationalError as error:
            if "decode" not in str(error).lower():
                raise
            database.lenient()
            self._rows = None
            rows = self._of(database, piece)
        if len(rows) != piece.rows:
            raise OSError(f"{self.path} gave {len(rows)} rows where it had {piece.rows}")
        return map(self._record, rows)

    def _of(self, database: Database, piece: Piece) -> list[Any]:
        if piece.numbered is None:
            return self._between_places(database, piece)
        query = f"{self._query} WHERE {piece.numbered} > ? AND {piece.numbered} <= ? ORDER BY {piece.numbered}"
        return database.rows(query, (piece.after, piece.until)).fetchall()

    def _between_places(self, database: Database, piece: Piece) -> list[Any]:
        start = piece.after
        if self._rows is None or self._at > start:
            self._rows, self._at = database.rows(self._query), 0
        while self._at < start:
            self._at += len(self._rows.fetchmany(min(1000, start - self._at))) or start
        self._at = piece.until
        return self._rows.fetchmany(piece.until - start)

    def _record(self, row: tuple[Any, ...]) -> Any:
        record = dict(zip(self._columns, row, strict=True))
        for name, value in record.items():
            if type(value) is Undecodable:
                shown = {key: bytes(item) if type(item) is Undecodable else item for key, item in record.items()}
                return Malformed("UnicodeDecodeError", f"column {name!r} isn't UTF-8", shown)
        return record
