"""The sink `csv`.

Which columns there are is known only where all records pass, in the parent; the workers send *runs*, rows that share
their columns, each with its row of names. The parent writes the names once and compares the rest.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO, TextIOWrapper
from itertools import chain, groupby
from math import isfinite
from pathlib import Path
from struct import Struct
from typing import Any, TypeAlias

from stagerunner import sink
from stagerunner_parts.compression import opened
from stagerunner_parts.sinks.cells import cell_text
from stagerunner_parts.sinks.output import FileOutput, Mode

Names: TypeAlias = tuple[str, ...]
Rows: TypeAlias = Sequence[Iterable[Any]]

SIZES = Struct(">II")
"""Bytes of the row of names and of the rows, in front of each run."""

PLAIN = frozenset((str, int, float, type(None)))
"""What the csv module writes as it should be."""


@sink("csv", suffixes=(".csv",))
class Csv(FileOutput):
    """Write records as the rows of a CSV file.

    Null is an empty field, true and false are words, times ISO 8601, lists and mappings JSON. Bytes, nan and infinity
    are refused. The first record says which columns there are, and all others must have the same, unless `fields` says
    it: then one that a record lacks stays empty, and a record with others is refused. A file whose name ends in .gz,
    .bz2 or .xz is compressed.

    path: the file, or - for standard output.
    fields: the columns.
    delimiter: the character between two fields.
    mode: replace an earlier file, append to it, or write a new one only.
    """

    def __init__(
        self, *, path: Path, fields: list[str] | None = None, delimiter: str = ",", mode: Mode = "replace"
    ) -> None:
        super().__init__(path, mode)
        self.fields = fields
        self.delimiter = delimiter
        self._names: Names | None = None

    def check(self) -> None:
        """Raises ValueError too, for a delimiter that can't be one."""
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise ValueError(f"delimiter has to be one ASCII character, and {self.delimiter!r} isn't")
        super().check()

    def encode(self, records: list[Any]) -> bytes:
        if (names := self._columns_of_all(records)) is not None:
            return self._packed(names, list(map(dict.values, records)))
        return b"".join(self._run(names, run) for names, run in groupby(records, self._columns))

    def rendered(self, data: bytes) -> bytes:
        """Raises ValueError when a record's columns aren't those of the output."""
        return b"".join(self._rows(head, rows) for head, rows in _runs(data))

    def open(self, position: Any) -> None:
        """Raises ValueError too, when what is to be appended to has other columns."""
        super().open(position)
        self._names = self._names_there() if self._length else None
        if self.fields is None or self.stdout:
            return
        if self._names is None:
            self.write(self._run(tuple(self.fields), []))
        elif self._names != tuple(self.fields):
            self.abort()
            raise ValueError(f"{self.path} has the columns {', '.join(self._names)}, not those of `fields`")

    def _columns_of_all(self, records: list[Any]) -> Names | None:
        """The columns that all of these have, just these and in this order, as is usual; None where it isn't so."""
        if not records or not {dict}.issuperset(map(type, records)):
            return None
        names = tuple(records[0] if self.fields is None else self.fields)
        _refuse_names(names)
        return names if names and {names}.issuperset(map(tuple, records)) else None

    def _columns(self, record: Any) -> Names:
        if type(record) is not dict and not isinstance(record, Mapping):
            raise ValueError(f"a row is made from a mapping, and this is of type {type(record).__name__}")
        if not record:
            raise ValueError("a row is made from a mapping with fields, and this one is empty")
        _refuse_names(record)
        if self.fields is None:
            return tuple(record)
        if unknown := [str(name) for name in record if name not in self.fields]:
            raise ValueError(f"the record has fields that aren't columns: {', '.join(unknown)}")
        return tuple(self.fields)

    def _run(self, names: Names, records: Iterable[Mapping[str, Any]]) -> bytes:
        if self.fields is None:
            return self._packed(names, [list(record.values()) for record in records])
        return self._packed(names, [[record.get(name) for name in names] for record in records])

    def _packed(self, names: Names, rows: Rows) -> bytes:
        head, body = self._text([names]), self._text(rows)
        return SIZES.pack(len(head), len(body)) + head + body

    def _text(self, rows: Rows) -> bytes:
        plain = PLAIN.issuperset(map(type, chain.from_iterable(rows)))
        cells = rows if plain else [[v if type(v) in PLAIN else cell_text(v) for v in row] for row in rows]
        text = self._formed(cells, "\n")
        if "nan" in text or "inf" in text:
            _refuse_not_finite(cells)
        if "\r" not in text:
            return text.encode()
        # The csv module quotes a carriage return only where rows end with one; so they do here, until they are done.
        return "".join([self._formed([row], "\r\n")[:-2] + "\n" for row in cells]).encode()

    def _formed(self, cells: Rows, end: str) -> str:
        text = StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter, lineterminator=end).writerows(cells)
        return text.getvalue()

    def _rows(self, head: bytes, rows: bytes) -> bytes:
        names = self._parsed(head)
        if self._names is None:
            self._names = names
            return head + rows
        return rows if names == self._names else self._reordered(names, rows)

    def _reordered(self, names: Names, rows: bytes) -> bytes:
        if self._names is None or set(names) != set(self._names):
            raise ValueError(
                f"a record has the fields {', '.join(names)}, but the columns of {self.describe()} are "
                f"{', '.join(self._names or ())}; say which to write with `fields`"
            )
        places = [names.index(name) for name in self._names]
        return self._text([[row[place] for place in places] for row in self._read(rows)])

    def _parsed(self, head: bytes) -> Names:
        return tuple(next(self._read(head)))

    def _read(self, rows: bytes) -> Iterator[list[str]]:
        return csv.reader(StringIO(rows.decode(), newline=""), delimiter=self.delimiter)

    def _names_there(self) -> Names | None:
        with opened(self._written, named=self.path) as file:
            rows = csv.reader(TextIOWrapper(file, "utf-8", newline=""), delimiter=self.delimiter)
            return next((tuple(row) for row in rows if row), None)


def _refuse_not_finite(cells: Rows) -> None:
    for value in chain.from_iterable(cells):
        if type(value) is float and not isfinite(value):
            raise ValueError(f"{value} is no number that can be written")


def _refuse_names(names: Iterable[Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"the name of a column is text, and {name!r:.60} is of type {type(name).__name__}")


def _runs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        head, rows = SIZES.unpack_from(data, at)
        at += SIZES.size
        yield bytes(data[at : at + head]), bytes(data[at + head : at + head + rows])
        at += head + rows
