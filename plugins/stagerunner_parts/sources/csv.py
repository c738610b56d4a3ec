"""The source `csv`."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagerunner import Malformed, source
from stagerunner_parts.sources.cutting import Block, Overlong, records_in
from stagerunner_parts.sources.pieces import Head, TakeHead
from stagerunner_parts.sources.reading import BOM, RecordFiles
from stagerunner_parts.sources.texts import check_encoding


@source("csv", suffixes=(".csv",))
@dataclass(kw_only=True)
class Csv(RecordFiles):
    """Read CSV files, a row a record: a mapping of text.

    A row ends at a newline outside quotes. Empty rows are passed over; one with too many or too few fields is
    malformed. Files whose names end in .gz, .bz2 or .xz are decompressed.

    path: a file, a glob, a list of these, or - for standard input.
    delimiter: the character between two fields.
    quote: the character around a field that may hold delimiters and newlines.
    fields: the names of the fields, for files without a row that names them.
    encoding: how characters are written in it.
    """

    path: Path | list[Path]
    delimiter: str = ","
    quote: str = '"'
    fields: list[str] | None = None
    encoding: str = "utf-8"

    faults = (ValueError, csv.Error)

    def __post_init__(self) -> None:
        self.quote_byte = self.quote.encode()

    def check(self) -> None:
        check_encoding(self.encoding)
        for name, value in (("delimiter", self.delimiter), ("quote", self.quote)):
            if len(value) != 1 or not value.isascii() or value in "\r\n":
                raise ValueError(f"{name} has to be one ASCII character, and {value!r} isn't")
        super().check()
        for file in () if self.stdin else self._files:
            self._head_of(file.name)

    def decode(self, block: bytes, head: Head) -> list[Any]:
        names = head or ()
        records = records_in(block.decode(self.encoding), "\n", self.quote)
        rows, used = self._rows(records)
        # A reader that has taken several records for one row found a quote where it doesn't belong.
        if used != len(rows) or not {0, len(names)}.issuperset(map(len, rows)):
            raise ValueError("not every record is a row")
        return [dict(zip(names, row, strict=True)) for row in rows if row]

    def decode_one(self, raw: bytes, head: Head) -> Any:
        names = head or ()
        try:
            (row,), _ = self._rows([raw.decode(self.encoding)])
        except UnicodeDecodeError as error:
            return Malformed("UnicodeDecodeError", str(error), raw)
        except csv.Error as error:
            return Malformed("CSVError", str(error), raw.decode(self.encoding))
        if len(row) != len(names):
            why = f"{len(row)} field{'s' * (len(row) != 1)} where {len(names)} are named"
            return Malformed("FieldCount", why, raw.decode(self.encoding))
        return dict(zip(names, row, strict=True))

    def counts(self, raw: bytes) -> bool:
        return raw.strip(b"\r") != b""

    def _rows(self, records: list[str]) -> tuple[list[list[str]], int]:
        """The rows, and how many of the records they were made of."""
        # How long a field may be is for `max_record` to say; the module has one limit for the whole process.
        csv.field_size_limit(sys.maxsize)
        reader = csv.reader(records, delimiter=self.delimiter, quotechar=self.quote, strict=True)
        return list(reader), reader.line_num

    def _known_head(self) -> Head:
        return tuple(self.fields) if self.fields is not None else None

    def _take_head(self) -> TakeHead | None:
        return self._names_in if self.fields is None else None

    def _names_in(self, block: Block) -> tuple[Head, int]:
        """The names in the first row of a block that isn't empty. Raises ValueError when they can't be names."""
        if isinstance(block, Overlong):
            raise self._long_names(block.length)
        used = 0
        for raw in records_in(block, b"\n", self.quote_byte):
            row = raw if used else raw.removeprefix(BOM)
            used += len(raw) + 1
            if self.counts(row):
                return self._names(row), min(used, len(block))
        return None, len(block)

    def _long_names(self, length: int) -> ValueError:
        return ValueError(f"the row of names is {length:,} bytes long; max_record allows {self.max_record:,}")

    def _names(self, raw: bytes) -> tuple[str, ...]:
        if len(raw) > self.max_record:
            raise self._long_names(len(raw))
        try:
            (names,), _ = self._rows([raw.decode(self.encoding)])
        except (ValueError, csv.Error) as error:
            raise ValueError(f"the row of names can't be read: {error}") from None
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise ValueError(f"the row of names has {twice[0]!r} twice; say what the names are with `fields`")
        return tuple(names)
