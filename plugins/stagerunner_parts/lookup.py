"""The stage `lookup`: fields from a table, found by a key."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal

from stagerunner import Drop, Reject, count, stage
from stagerunner_parts.compression import MODULES, opened
from stagerunner_parts.convert import Type, converted_field
from stagerunner_parts.digests import key_of
from stagerunner_parts.values import field, nearest

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
DATABASES = (".sqlite", ".sqlite3", ".db", ".db3", ".duckdb")
SUFFIXES = (*DELIMITERS, *JSON_LINES, *DATABASES)


@stage("lookup")
class Lookup:
    """Add fields from a table: those of the row with the record's key.

    The table is a CSV file with a header (.csv, .tsv) or JSON lines (.jsonl, .ndjson), which may be compressed, or a
    table or query of a database file, SQLite or DuckDB (.sqlite, .db, .duckdb). Each worker reads it once, before its
    first record, and keeps it in memory. Keys are equal if they have the same type and content; those of CSV are texts,
    unless `types` says otherwise. A key that is null is never found. A record is refused if it lacks the field, or
    already has one of the new fields.

    path: the file of the table.
    table: the table or view of a database file; by default, the only one.
    query: a query of a database file, in place of a table.
    key: the table's column with the key.
    on: the record's field with the key; by default, it has the name of the column. `a.b` is field b of field a.
    fields: the columns to add; by default, all but the key.
    prefix: a text before the name of each field that is added.
    types: for columns of the table, a type as in `convert`.
    missing: what happens to a record whose key isn't in the table: fail, null (in all the new fields), or drop.
    duplicates: which of the rows with the same key counts: first or last; with fail, such a table is a mistake.
    """

    def __init__(
        self,
        *,
        path: Path,
        table: str | None = None,
        query: str | None = None,
        key: str,
        on: str | None = None,
        fields: list[str] | None = None,
        prefix: str = "",
        types: dict[str, Type] | None = None,
        missing: Literal["fail", "null", "drop"] = "fail",
        duplicates: Literal["fail", "first", "last"] = "fail",
    ) -> None:
        self.path = path
        self.chosen = (table, query)
        self.key = key
        self.on = key if on is None else on
        self.prefix = prefix
        self.missing = missing
        self._made_of = (fields, types or {}, duplicates)
        self._table: Table
        self._names: tuple[str, ...]

    def check(self, environment: dict[str, str]) -> None:
        """Raises OSError or ValueError if there is no such table. What is in it, the workers find out."""
        if _suffix(self.path) in DATABASES:
            from stagerunner_parts.databases.reading import checked  # SQLite, which a table of CSV does without

            checked(self.path, *self.chosen)
        elif any(self.chosen):
            raise ValueError(f"`table` and `query` are for database files, and {self.path} isn't one")
        elif not self.path.is_file():
            raise FileNotFoundError(f"there is no file {self.path}")

    def identity(self) -> Any:
        """A resumed run has to find the same table."""
        log = Path(f"{self.path}-wal")
        files = [self.path, *([log] if _suffix(self.path) in DATABASES and log.exists() and log.stat().st_size else [])]
        return [[file.stat().st_size, file.stat().st_mtime_ns] for file in files]

    def setup(self) -> None:
        self._table = Table(self.key, *self._made_of)
        self._table.read(self.path, _rows(self.path, *self.chosen))
        self._names = tuple(self.prefix + name for name in self._table.columns)

    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        wanted = field(record, self.on)
        if not record.keys().isdisjoint(self._names):
            twice = next(name for name in self._names if name in record)
            raise Reject(f"the record has a field {twice!r} already; choose others with `fields`, or give a `prefix`")
        values = self._table.rows.get(key_of(wanted))
        if values is None:
            return self._without(record, wanted)
        return {**record, **dict(zip(self._names, values, strict=True))}

    def _without(self, record: dict[str, Any], wanted: Any) -> dict[str, Any]:
        self._check_kind(wanted)
        if self.missing != "null":
            why = f"{self.path.name} has no row in which {self.key!r} is {wanted!r:.60}"
            raise Drop(why) if self.missing == "drop" else Reject(why)
        count("not found")
        return {**record, **dict.fromkeys(self._names)}

    def _check_kind(self, wanted: Any) -> None:
        """A number will never be found among texts: that is a mistake, not a key that is missing."""
        kinds, kind = self._table.kinds, type(wanted)
        if wanted is None or not kinds or kind in kinds:
            return
        known = " or ".join(sorted(one.__name__ for one in kinds))
        advice = f"; see the option `types`: {{{self.key}: int}}" if kind is int else "; `convert` the field first"
        raise Reject(f"field {self.on!r} is of type {kind.__name__}, but the keys are of type {known}{advice}")


class Table:
    """Rows by key. columns: the names of the values in each row. kinds: the types of the keys."""

    def __init__(self, key: str, fields: list[str] | None, types: dict[str, Type], duplicates: str) -> None:
        self._key = key
        self._fields = fields
        self._types = types
        self._duplicates = duplicates
        self.columns: list[str] = list(fields or ())
        self.rows: dict[Any, tuple[Any, ...]] = {}
        self.kinds: set[type] = set()

    def read(self, path: Path, rows: Iterator[tuple[int, dict[str, Any]]]) -> None:
        """Read the rows of a file, each with its number. Raises OSError, or ValueError with the line, if it isn't such
        a table."""
        seen: set[str] = set()
        lines: dict[Any, int] = {}
        for line, row in rows:
            try:
                self._take(row, line, lines)
            except (ValueError, TypeError, Reject) as why:
                raise ValueError(f"{path}, line {line}: {why}") from None
            seen.update(row)
        wanted = next((name for name in (*self.columns, *self._types) if name not in seen), None)
        if self.rows and wanted is not None:
            raise ValueError(f"{path} has no column {wanted!r}{_near(wanted, seen)}")
        width = len(self.columns)
        for key, values in self.rows.items():
            if len(values) < width:  # a later line of JSON had more names
                self.rows[key] = values + (None,) * (width - len(values))

    def _take(self, row: dict[str, Any], line: int, lines: dict[Any, int]) -> None:
        if self._key not in row:
            raise ValueError(f"there is no {self._key!r}{_near(self._key, set(row))}")
        for name in self._types.keys() & row.keys():
            row[name] = converted_field(name, row[name], self._types[name], empty_is_null=name != self._key)
        value = row[self._key]
        if value is None:
            raise ValueError(f"{self._key!r} is null")
        key = key_of(value)
        if key in self.rows and self._duplicates != "last":
            if self._duplicates == "first":
                return
            raise ValueError(
                f"{self._key!r} is {value!r:.60}, as in line {lines[key]}; `duplicates: first` or `last` chooses one"
            )
        if self._fields is None:
            self.columns += [name for name in row if name != self._key and name not in self.columns]
        if self._duplicates == "fail":
            lines[key] = line
        self.kinds.add(type(value))
        self.rows[key] = tuple(map(row.get, self.columns))


def _near(name: str, names: set[str]) -> str:
    listed = sorted(names)
    near = nearest(name, tuple(listed))
    return f"; did you mean {near!r}?" if near else f"; there is {', '.join(listed)}" if listed else ""


def _rows(path: Path, table: str | None = None, query: str | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with the number of its first line, or its own in a database. Raises OSError or ValueError."""
    suffix = _suffix(path)
    if suffix in DATABASES:
        from stagerunner_parts.databases.reading import numbered_rows  # as above

        yield from numbered_rows(path, table, query)
        return
    try:
        with opened(path) as binary, TextIOWrapper(binary, "utf-8-sig", newline="") as file:
            yield from _json_rows(path, file) if suffix in JSON_LINES else _csv_rows(path, file, DELIMITERS[suffix])
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error.reason}") from None


def _suffix(path: Path) -> str:
    """The suffix that says what the table is, compression aside. Raises ValueError if it is none of them."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = next((suffix for suffix in reversed(suffixes) if suffix not in MODULES), "")
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} isn't a table: its name ends in none of {', '.join(SUFFIXES)}")
    return suffix


def _csv_rows(path: Path, file: TextIOWrapper, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    line = 1
    try:
        for row in reader:
            if names is None and row:
                names = _header(path, row)
            elif names is not None and row:
                if len(row) != len(names):
                    raise ValueError(f"{path}, line {line}: {len(row)} fields, but there are {len(names)} columns")
                yield line, dict(zip(names, row, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: this is not CSV: {error}") from None
    if names is None:
        raise ValueError(f"{path} has no header")


def _header(path: Path, row: list[str]) -> list[str]:
    if len(set(row)) < len(row):
        twice = next(name for name in row if row.count(name) > 1)
        raise ValueError(f"{path}: the header has {twice!r} twice")
    return row


def _json_rows(path: Path, file: TextIOWrapper) -> Iterator[tuple[int, dict[str, Any]]]:
    import msgspec.json  # a table of CSV does without

    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for line, text in enumerate(file, 1):
        if text.isspace():
            continue
        try:
            row = decode(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {line}: this isn't a JSON object: {error}") from None
        yield line, row
