"""The source `csv`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

from stagerunner import Malformed, source
from stagerunner_parts.sources.cutting import Block, Overlong, Rows
from stagerunner_parts.sources.pieces import Head, TakeHead
from stagerunner_parts.sources.reading import BOM, RecordFiles
from stagerunner_parts.sources.texts import check_encoding, no_characters, plain

Maker: TypeAlias = Callable[[tuple[str, ...], Iterable[list[str]]], list[Any]]
"""Names and rows → a mapping for each row. Raises ValueError for a row with too many or too few fields."""

WIDE = 64
"""For rows with more fields, compiling a function isn't worth it."""


@source("csv", suffixes=(".csv",))
class Csv(RecordFiles):
    """Read CSV files, one record per row: a mapping of texts.

    A row ends at a newline outside quotes. Empty rows are ignored; a row with too many or too few fields is malformed.
    Files whose names end in .gz, .bz2, .xz or .zst are decompressed.

    path: a file, a glob, a list of these, or - for standard input.
    delimiter: the character between two fields.
    quote: the character around a field that contains delimiters or newlines.
    fields: the names of the columns, for files without a header row.
    encoding: the encoding of the text.
    """

    faults = (ValueError, csv.Error)

    def __init__(
        self,
        *,
        path: Path | list[Path],
        delimiter: str = ",",
        quote: str = '"',
        fields: list[str] | None = None,
        encoding: str = "utf-8",
    ) -> None:
        self.path = path
        self.delimiter = delimiter
        self.quote = quote
        self.fields = fields
        self.encoding = plain(encoding)

    @cached_property
    def rule(self) -> Rows:  # type: ignore[override]
        return Rows(self.quote, self.delimiter)

    def check(self) -> None:
        for name, value in (("delimiter", self.delimiter), ("quote", self.quote)):
            if len(value) != 1 or not value.isascii() or value in "\r\n":
                raise ValueError(f"{name} must be one ASCII character, and {value!r} isn't")
        if self.delimiter == self.quote:
            raise ValueError(f"delimiter and quote are both {self.quote!r}, but they must differ")
        check_encoding(self.encoding, self.delimiter + self.quote)
        super().check()
        for file in self._files:
            self._head_of(file)

    def _fits(self, block: bytes) -> bool:
        if len(block) <= self.max_record:
            return True
        # The csv module has no limit: it would read a row that is too long, of which only the first line counts here.
        return max(map(len, self.rule.records(block, len(block)))) <= self.max_record

    def decode(self, block: bytes, head: Head) -> list[Any]:
        if not head:
            raise ValueError("there is no header row")
        rows = self._reader(StringIO(block.decode(self.encoding), newline="\n"))
        return maker(len(head))(head, filter(None, rows))

    def decode_one(self, raw: bytes, head: Head) -> Any:
        names = head or ()
        if wrong := no_characters(raw, self.encoding):
            return wrong
        if not self.rule.is_whole(raw):
            return Malformed("CSVError", "a quote opens a field and is never closed", raw.decode(self.encoding))
        try:
            row = self._row(raw.decode(self.encoding))
        except csv.Error as error:
            return Malformed("CSVError", f"the row is not CSV: {error}", raw.decode(self.encoding))
        if len(row) != len(names):
            why = f"the row has {len(row)} field{'s' * (len(row) != 1)}, but there are {len(names)} columns"
            return Malformed("FieldCount", why, raw.decode(self.encoding))
        return dict(zip(names, row, strict=True))

    def counts(self, raw: bytes) -> bool:
        return raw.strip(b"\r") != b""

    def _row(self, record: str) -> list[str]:
        """Parse a record, which is one row. Raises ValueError or csv.Error."""
        row: list[str]
        (row,) = self._reader([record])
        return row

    def _reader(self, records: Iterable[str]) -> Any:
        # `max_record` limits the length; the limit of the csv module is one for the whole process.
        csv.field_size_limit(sys.maxsize)
        return csv.reader(records, delimiter=self.delimiter, quotechar=self.quote, strict=True)

    def _known_head(self) -> Head:
        return tuple(self.fields) if self.fields is not None else None

    def _take_head(self) -> TakeHead | None:
        return self._names_in if self.fields is None else None

    def _names_in(self, block: Block) -> tuple[Head, int]:
        """The names in the first row of a block that isn't empty. Raises ValueError if they are invalid."""
        if isinstance(block, Overlong):
            raise self._long_names()
        used = 0
        for raw in self._records(block):
            row = raw if used else raw.removeprefix(BOM)
            used += len(raw) + 1
            if self.counts(row):
                return self._names(row), min(used, len(block))
        return None, len(block)

    def _long_names(self) -> ValueError:
        return ValueError(f"the header row is longer than max_record allows: {self.max_record:,} bytes")

    def _names(self, raw: bytes) -> tuple[str, ...]:
        if len(raw) > self.max_record:
            raise self._long_names()
        if wrong := no_characters(raw, self.encoding):
            raise ValueError(f"the header row can't be read: {wrong.message}")
        try:
            names = self._row(raw.decode(self.encoding))
        except (ValueError, csv.Error) as error:
            raise ValueError(f"the header row can't be read: {error}") from None
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise ValueError(f"the header row has {twice[0]!r} twice; name the columns with `fields`")
        return tuple(names)


@cache
def maker(width: int) -> Maker:
    """A function that makes mappings from rows with `width` fields.

    It is compiled: `{n0: v0, n1: v1} for v0, v1 in rows` takes a quarter of the time of `dict(zip(…))`, which was most
    of the time that reading CSV took. The compiled text contains nothing from the file.
    """
    if width > WIDE:
        return lambda names, rows: [dict(zip(names, row, strict=True)) for row in rows]
    indexes = range(width)
    names, values = (", ".join(f"{letter}{index}" for index in indexes) for letter in "nv")
    pairs = ", ".join(f"n{index}: v{index}" for index in indexes)
    compiled: Maker = eval(f"lambda names, rows: [{{{pairs}}} for [{names}] in [names] for [{values}] in rows]")
    return compiled
