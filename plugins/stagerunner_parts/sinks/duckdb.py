"""The sink `duckdb`.

Rows travel as groups with the same columns, and are sent column by column: DuckDB takes lists a hundred times as fast
as single rows.

A row that the table refuses ends DuckDB's transaction, which has no savepoints. So what the open transaction has
written is kept beside it, in a file without a name: it is written again, and from then on, until the commit, the
constraints are asked of the rows before they are inserted.
"""

from __future__ import annotations

import errno
import pickle
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from tempfile import SpooledTemporaryFile
from time import monotonic
from typing import Any, TypeAlias

from stagerunner import sink
from stagerunner_parts.databases.reading import duckdb, first_line
from stagerunner_parts.sinks.columnar import Fit, fit_of, plain, spelled, type_of
from stagerunner_parts.sinks.constraints import Constraints
from stagerunner_parts.sinks.database import DatabaseFile, quoted
from stagerunner_parts.sinks.output import Mode
from stagerunner_parts.sinks.pairs import join, pairs_in
from stagerunner_parts.sinks.rows import Names, Row, names_of
from stagerunner_parts.sinks.tables import Extras, Missing

Typed: TypeAlias = tuple[tuple[str, str], ...]
"""Names of columns with their types."""
Numbered: TypeAlias = list[tuple[int, Row]]
"""Rows with their numbers in what is written."""

KEPT = 2**20
"""Bytes of rows that are kept in memory until the commit; more go to a file."""
SETTINGS = {"memory_limit": "512MB"}
"""By default it takes four fifths of the memory; what doesn't fit goes to a temporary file."""


@sink("duckdb", suffixes=(".duckdb",))
class Duckdb(DatabaseFile):
    """Write records as the rows of a table in a DuckDB database.

    An existing table keeps its columns; a new one gets the fields of the first record, with types that hold their
    values: BIGINT, DOUBLE, BOOLEAN, VARCHAR, BLOB, DECIMAL(38,10), DATE, TIMESTAMP and so on, JSON for lists and
    mappings, and VARCHAR for null. Case doesn't matter in names. A value that its column can't hold exactly is refused.

    path: the database file.
    table: the name of the table.
    types: for columns of a new table, the type in DuckDB, in place of that of the first value.
    extras: what to do with fields that have no column: fail, or ignore them.
    missing: what to do if a record lacks fields: fail, or fill the columns with the table's defaults, mostly null.
    mode: replace an existing table, append to it, or write only a new one.
    """

    begin = "BEGIN TRANSACTION"
    _columns: dict[str, str]
    _begun = False
    _constraints: Constraints | None = None
    """Those of a table that was there before. One of our own has none."""
    _asks = False
    """Whether the constraints are asked of rows before they are inserted."""

    def __init__(
        self,
        *,
        path: Path,
        table: str = "records",
        types: dict[str, str] | None = None,
        extras: Extras = "fail",
        missing: Missing = "fail",
        mode: Mode = "replace",
    ) -> None:
        super().__init__(path=path, table=table, extras=extras, missing=missing, mode=mode)
        self.types = {name.lower(): spelled(kind) for name, kind in (types or {}).items()}
        self._uncommitted = Uncommitted()

    def check(self) -> None:
        duckdb(self.path)
        super().check()

    # In the last worker

    def expect(self, columns: Iterable[Sequence[str]]) -> None:
        """From now on, encode only records that fit these columns."""
        self._expected: dict[str, str] = dict(columns)  # type: ignore[arg-type]
        self._fits: dict[str, Fit] = {name: fit_of(kind) for name, kind in self._expected.items()}

    def columns_of(self, record: Any) -> list[list[str]]:
        """The columns of a new table, if this is its first record."""
        return [[name.lower(), self.types.get(name.lower()) or type_of(record[name])] for name in names_of(record)]

    def encode(self, records: list[Any]) -> bytes:
        if records and not hasattr(self, "_expected"):
            first = Duckdb(path=self.path, types=self.types, extras=self.extras, missing=self.missing)
            first.expect(self.columns_of(records[0]))
            return first.encode(records)
        groups = groupby([self._fitted(record, self._expected) for record in records], tuple)
        return join(
            (self._typed(names), pickle.dumps([self._row(record) for record in group])) for names, group in groups
        )

    def _typed(self, names: Names) -> bytes:
        return pickle.dumps(tuple((name, self._expected[name.lower()]) for name in names))

    def _row(self, record: dict[str, Any]) -> Row:
        return tuple([self._value(name, plain(value)) for name, value in record.items()])

    def _value(self, name: str, value: Any) -> Any:
        if value is None:
            return None
        try:
            return self._fits[name.lower()](value)
        except (ValueError, TypeError) as why:
            raise ValueError(f"column {name!r}: {why}") from None

    # In the parent

    def columns(self) -> list[list[str]] | None:
        """The columns that workers should expect; None if there is no table yet."""
        return [[name, kind] for name, kind in dict(self._columns).items()] or None

    def fits(self, data: bytes) -> bool:
        """Whether the data was encoded for the columns of this table."""
        columns = dict(self._columns)
        typed = {(name.lower(), kind) for head, _ in pairs_in(data) for name, kind in pickle.loads(head)}
        return not columns or (typed <= columns.items() and (self.missing == "fill" or typed == set(columns.items())))

    def open(self, position: Any) -> None:
        super().open(position)
        if self.mode == "append" and self._columns:
            with self._opened() as connection:
                self._constraints = Constraints(connection, self._written, self._columns)

    def write_or_refuse(self, data: bytes) -> dict[int, Exception]:
        """Write the rows that the table takes; those that it refuses, by number, and why."""
        if self._constraints is None:
            self.write(data)
            return {}
        refused: dict[int, Exception] = {}
        number = 0
        with self._opened():
            for _, names, rows in self._groups(data):
                self._refuse_unknown(names)
                refused |= self._insert_some(names, list(enumerate(rows, number)), self._constraints)
                number += len(rows)
        self._rows += number - len(refused)
        return refused

    def commit(self, row: Any) -> None:
        super().commit(row)
        self._forget()

    def abort(self) -> None:
        """Close, and roll back what was written after the last commit."""
        super().abort()
        self._begun = False
        self._forget()

    def _forget(self) -> None:
        self._uncommitted.clear()
        self._asks = False

    def _insert_some(self, names: Names, rows: Numbered, constraints: Constraints) -> dict[int, Exception]:
        """Insert the rows, or all but those that are refused."""
        if not self._asks:
            if self._took(names, rows) is None:
                return {}
            self._asks = True
        refused = self._refused(names, rows, constraints)
        return refused | self._insert_halves(names, [one for one in rows if one[0] not in refused])

    def _refused(self, names: Names, rows: Numbered, constraints: Constraints) -> dict[int, Exception]:
        module = duckdb(self.path)
        with self._transaction() as connection:
            try:
                broken = constraints.broken_by(connection, names, [row for _, row in rows])
            except (module.IntegrityError, module.DataError, module.ProgrammingError):  # a question that can't be asked
                self._write_again(connection)
                return {}
        return {rows[at][0]: module.ConstraintException(f"the row breaks {text}") for at, text in broken.items()}

    def _insert_halves(self, names: Names, rows: Numbered) -> dict[int, Exception]:
        """Insert the rows that the table takes. Each row that the questions didn't find costs much."""
        error = self._took(names, rows)
        if error is None or len(rows) == 1:
            return {} if error is None else {rows[0][0]: error}
        middle = len(rows) // 2
        return self._insert_halves(names, rows[:middle]) | self._insert_halves(names, rows[middle:])

    def _took(self, names: Names, rows: Numbered) -> Exception | None:
        """Insert the rows; or none of them, and why."""
        module, plain_rows = duckdb(self.path), [row for _, row in rows]
        if not rows:
            return None
        with self._transaction() as connection:
            try:
                self._insert(connection, names, plain_rows)
            except (module.IntegrityError, module.DataError) as error:
                self._write_again(connection)
                why: Exception = type(error)(first_line(error))
                return why
        self._uncommitted.add(names, plain_rows)
        return None

    def _write_again(self, lost: Any) -> None:
        """Begin the transaction again, with the rows that it had taken."""
        lost.execute("ROLLBACK")
        with self._transaction() as connection:
            for names, rows in self._uncommitted:
                self._insert(connection, names, rows)

    def _connect(self, patience: float, *, reading: bool) -> Any:
        module, until = duckdb(self.path), monotonic() + patience
        while True:
            try:
                connection = module.connect(str(self.path), read_only=reading, config=SETTINGS)
                connection.execute("SET timezone = 'UTC'")
                return _Session(self, connection)
            except module.IOException as error:
                if not self._is_locked(error) or monotonic() > until:
                    raise
                self._wait()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        module = duckdb(self.path)
        try:
            yield
        except module.IOException as error:
            if self._is_locked(error):
                raise self._locked_too_long(error) from error
            raise OSError(errno.EIO, f"DuckDB can't use {self.describe()}: {first_line(error)}") from error
        except module.OutOfMemoryException as error:
            raise OSError(errno.ENOMEM, f"DuckDB can't use {self.describe()}: {first_line(error)}") from error
        except (module.IntegrityError, module.DataError) as error:
            raise self._refusal(first_line(error)) from error
        except module.Error as error:
            raise OSError(f"DuckDB can't use {self.describe()}: {first_line(error)}") from error

    def _is_locked(self, error: Exception) -> bool:
        return "Could not set lock" in str(error)

    def _in_transaction(self, connection: Any) -> bool:
        return self._begun

    def _columns_of(self, table: str, patience: float | None = None) -> dict[str, str]:
        query = (
            "SELECT lower(column_name), data_type FROM duckdb_columns() WHERE lower(table_name) = lower(?)"
            " AND schema_name = current_schema() AND database_name = current_database() ORDER BY column_index"
        )
        with self._opened() as connection:
            return dict(connection.execute(query, [table]).fetchall())

    def _groups(self, data: bytes) -> Iterator[tuple[Typed, Names, list[Row]]]:
        for head, rows in pairs_in(data):
            typed: Typed = pickle.loads(head)
            yield typed, tuple(name for name, _ in typed), pickle.loads(rows)

    def _create(self, connection: Any, made_of: Typed) -> dict[str, str]:
        columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in made_of)
        connection.execute(f"CREATE TABLE {quoted(self._written)} ({columns})")
        return self._columns_of(self._written)

    def _insert(self, connection: Any, names: Names, rows: Sequence[Row]) -> None:
        lists = ", ".join(f"unnest(?::{self._columns[name.lower()]}[])" for name in names)
        columns = ", ".join(map(quoted, names))
        values = [list(column) for column in zip(*rows, strict=True)]
        connection.execute(f"INSERT INTO {quoted(self._written)} ({columns}) SELECT {lists}", values)


class Uncommitted:
    """The rows of the open transaction, to be written again if it is lost."""

    def __init__(self) -> None:
        self._file: SpooledTemporaryFile[bytes] | None = None

    def add(self, names: Names, rows: list[Row]) -> None:
        if self._file is None:
            self._file = SpooledTemporaryFile(KEPT)  # noqa: SIM115 - until the commit
        pickle.dump((names, rows), self._file, 5)

    def __iter__(self) -> Iterator[tuple[Names, list[Row]]]:
        if self._file is not None:
            self._file.seek(0)
            with suppress(EOFError):
                while True:
                    yield pickle.load(self._file)

    def clear(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Session:
    """A connection that tells its sink whether a transaction is open: DuckDB doesn't say."""

    def __init__(self, owner: Duckdb, connection: Any) -> None:
        self._owner = owner
        self._connection = connection
        self.close = connection.close

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        done = self._connection.execute(sql, values) if values else self._connection.execute(sql)
        if sql == Duckdb.begin:
            self._owner._begun = True
        elif sql in ("COMMIT", "ROLLBACK"):
            self._owner._begun = False
        return done
