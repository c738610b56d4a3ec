"""The sink `csv`.

The first record determines the columns. Each worker takes them from the first record that it encodes, unless the parent
has told it which to expect. It sends *runs*: rows, with a row of names in front. The parent writes the names once and
checks that later runs have the same. If several workers started from different records, the runner tells all of them
the parent's columns, and they encode again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO, TextIOWrapper
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import IO, Any, TypeAlias

from stagerunner import sink
from stagerunner_parts.compression import opened
from stagerunner_parts.delimiters import check_character, usual_delimiter
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.output import FileOutput, Mode
from stagerunner_parts.sinks.pairs import join, pairs_in
from stagerunner_parts.sinks.tables import Extras, Missing, cell_text, refuse_others

Names: TypeAlias = tuple[str, ...]
Rows: TypeAlias = Sequence[Iterable[Any]]

PLAIN = frozenset((str, int, float, type(None)))
"""Types that the csv module writes correctly by itself."""


@sink("csv", suffixes=(".csv", ".tsv"))
class Csv(FileOutput):
    """Write records as the rows of a CSV file.

    Null becomes an empty field, true and false are words, times are ISO 8601, lists and mappings are JSON. Bytes, nan
    and infinity are refused. If the name of the file ends in .gz, .bz2, .xz or .zst, it is compressed.

    path: the file, an address (scheme://…), or - for standard output; with {field} in it, a file for each value.
    fields: the names of the columns; by default, the fields of the first record.
    extras: what to do with fields that have no column: fail, or ignore them.
    missing: what to do if a record lacks fields: fail, or fill its row with empty fields.
    delimiter: the character between two fields; by default a tab for .tsv files, else a comma.
    mode: replace an existing file, append to it, or write only a new one.
    options: of the file system of an address.
    """

    def __init__(
        self,
        *,
        path: Path | Address,
        fields: list[str] | None = None,
        extras: Extras = "fail",
        missing: Missing = "fail",
        delimiter: str | None = None,
        mode: Mode = "replace",
        options: StorageOptions | None = None,
    ) -> None:
        super().__init__(path, mode, options)
        self.fields = fields
        self.extras: Extras = extras
        self.missing: Missing = missing
        self.delimiter = usual_delimiter(self.path) if delimiter is None else delimiter
        self._names: Names | None = None
        self._expected: Names | None = None if fields is None else tuple(fields)

    def check(self) -> None:
        """Also raises ValueError for an invalid delimiter."""
        check_character("delimiter", self.delimiter, '"\r\n')
        super().check()

    def encode(self, records: list[Any]) -> bytes:
        if not records:
            return b""
        names = self._expected or self.columns_of(records[0])
        if {dict}.issuperset(map(type, records)) and {names}.issuperset(map(tuple, records)):
            return self._packed(names, list(map(dict.values, records)))
        return self._packed(names, [self._row(names, record) for record in records])

    def columns_of(self, record: Any) -> Names:
        """The columns of a new output, if this is its first record."""
        _refuse(record)
        return tuple(record)

    def expect(self, columns: Iterable[str]) -> None:
        """From now on, encode only records that fit these columns."""
        self._expected = tuple(columns)

    def columns(self) -> list[str] | None:
        """The columns that workers should expect; None if nothing has been written."""
        names = self._names or self._expected
        return None if names is None else list(names)

    def fits(self, data: bytes) -> bool:
        """Whether the data was encoded for the columns of this output, in any order."""
        there = self._names
        return there is None or all(
            head == self._head or set(self._parsed(bytes(head))) == set(there) for head, _ in pairs_in(data)
        )

    def rendered(self, data: bytes) -> bytes:
        """Raises ValueError when a record's columns aren't those of the output."""
        return b"".join(self._rows(bytes(head), bytes(rows)) for head, rows in pairs_in(data))

    def open(self, position: Any) -> None:
        """Also raises ValueError if the file to append to has other columns."""
        super().open(position)
        file = self._growing
        self._names = self._names_there(file.path) if file is not None and file.length else None
        if self.fields is None or self.stdout:
            return
        self._headless, self._journaled = self._names is None, position is not None
        if self._names not in (None, tuple(self.fields)):
            self.abort()
            raise ValueError(f"{self.path} has the columns {', '.join(self._names or ())}, not those of `fields`")

    def write(self, data: bytes) -> None:
        if data:
            self._put_head()
        super().write(data)

    def commit(self, row: Any) -> None:
        """The first commit of a new file leaves it empty. Until the journal knows the file, a later run can't tell
        whose it is, and replaces it only if it is empty."""
        if self._journaled:
            self._put_head()
        super().commit(row)
        self._journaled = True

    def _complete(self) -> None:
        if self._written_to.is_open:
            self._put_head()
        super()._complete()

    def _put_head(self) -> None:
        """Write the names in `fields`, unless they are there."""
        if self._headless:
            self._headless = False
            super().write(self._packed(tuple(self.fields or ()), []))

    def why_not_joined(self) -> str | None:
        if self.fields is None:
            return "each shard would take the columns of its own first record; name them: `fields: [id, price]`"
        return super().why_not_joined()

    def _pass_head(self, file: IO[bytes], first: bool) -> bytes:
        """The row of names."""
        head = file.read(len(self._text([tuple(self.fields or ())])))
        return head if first else b""

    def remembered(self) -> Any:
        return self._names, self._head

    def recall(self, known: Any) -> None:
        self._names, self._head = known or (None, b"")

    def found_in(self, path: Path) -> Any:
        names = self._names_there(path)
        return names, self._text([names or ()])

    def _row(self, names: Names, record: Any) -> list[Any]:
        _refuse(record)
        if record.keys() != set(names):
            extra = (name for name in record if name not in names)
            refuse_others(extra, (name for name in names if name not in record), self.extras, self.missing)
        return [record.get(name) for name in names]

    def _packed(self, names: Names, rows: Rows) -> bytes:
        return join([(self._text([names]), self._text(rows))])

    def _text(self, rows: Rows) -> bytes:
        plain = PLAIN.issuperset(map(type, chain.from_iterable(rows)))
        cells = rows if plain else [[v if type(v) in PLAIN else cell_text(v) for v in row] for row in rows]
        text = self._formed(cells, "\n")
        if "nan" in text or "inf" in text:
            _refuse_not_finite(cells)
        if "\r" not in text:
            return text.encode()
        # The csv module quotes a carriage return only if rows end with one, so they do until they are joined.
        return "".join([self._formed([row], "\r\n")[:-2] + "\n" for row in cells]).encode()

    def _formed(self, cells: Rows, end: str) -> str:
        text = StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter, lineterminator=end).writerows(cells)
        return text.getvalue()

    def _rows(self, head: bytes, rows: bytes) -> bytes:
        names = self._parsed(head)
        if self._names is None:
            self._names, self._head = names, head
            return head + rows
        return rows if names == self._names else self._reordered(names, rows)

    def _reordered(self, names: Names, rows: bytes) -> bytes:
        if self._names is None or set(names) != set(self._names):
            raise ValueError(
                f"a record has the fields {', '.join(names)}, but the columns of {self.describe()} are "
                f"{', '.join(self._names or ())}; say which to write with `fields`"
            )
        order = [names.index(name) for name in self._names]
        return self._text([[row[index] for index in order] for row in self._read(rows)])

    _head = b""
    """The encoded row of names that was written."""

    _headless = False
    """Whether the row of names is still to be written."""

    _journaled = False
    """Whether the journal knows the file."""

    def _parsed(self, head: bytes) -> Names:
        return tuple(next(self._read(head)))

    def _read(self, rows: bytes) -> Iterator[list[str]]:
        return csv.reader(StringIO(rows.decode(), newline=""), delimiter=self.delimiter)

    def _names_there(self, path: Path) -> Names | None:
        with opened(path, named=self.path) as file:
            rows = csv.reader(TextIOWrapper(file, "utf-8", newline=""), delimiter=self.delimiter)
            return next((tuple(row) for row in rows if row), None)


def _refuse_not_finite(cells: Rows) -> None:
    for value in chain.from_iterable(cells):
        if type(value) is float and not isfinite(value):
            raise ValueError(f"{value} is not a finite number")


def _refuse(record: Any) -> None:
    """Raises ValueError if the record can't be a row."""
    if type(record) is not dict and not isinstance(record, Mapping):
        raise ValueError(f"a row needs a mapping, but this is of type {type(record).__name__}")
    if not record:
        raise ValueError("a row needs a mapping with fields, but this one is empty")
    for name in record:
        if not isinstance(name, str):
            raise ValueError(f"the name of a column must be text, but {name!r:.60} is of type {type(name).__name__}")
