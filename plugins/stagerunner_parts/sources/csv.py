"""The source `csv`."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property, partial
from io import StringIO
from itertools import combinations, islice, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from stagerunner import Malformed, Split, source
from stagerunner_parts.delimiters import check_character, usual_delimiter
from stagerunner_parts.remote.address import StorageOptions
from stagerunner_parts.sources import sniffing
from stagerunner_parts.sources.inputs import AnyFile, Paths, Unsplittable
from stagerunner_parts.sources.pieces import (
    BEGIN,
    COMMENT,
    LINES,
    PLAIN,
    QUOTED,
    SEEN,
    START,
    Block,
    Head,
    Lines,
    Overlong,
    Piece,
    TakeHead,
)
from stagerunner_parts.sources.reading import BOM, RecordFiles, bytes_of
from stagerunner_parts.sources.texts import check_encoding, no_characters, plain

if TYPE_CHECKING:
    from stagerunner import ArrowRows

Maker: TypeAlias = Callable[[tuple[str, ...], Iterable[list[str]]], list[Any]]
"""Names and rows → a mapping for each row. Raises ValueError for a row with too many or too few fields."""

SNIFF = "sniff"
SNIFFED = {("delimiter", SNIFF), ("quote", SNIFF)}

LAST = itemgetter(-1)

WIDE = 64
"""For rows with more fields, compiling a function isn't worth it."""


@source("csv", suffixes=(".csv", ".tsv"))
class Csv(RecordFiles):
    """Read CSV files, one record per row: a mapping of texts.

    A row ends at a newline outside quotes. Empty rows are ignored; a row with too many or too few fields is malformed,
    unless `extras` and `missing` allow it. Each file has a header row, or none. With `sniff`, the first 64 KiB of each
    file decide. Files whose names end in .gz, .bz2, .xz or .zst are decompressed.

    path: a file, a glob, an address (scheme://…), a list of these, or - for standard input.
    delimiter: the character between two fields, or sniff; by default a tab for .tsv files, else a comma.
    quote: the character around a field that contains delimiters or newlines, or sniff; null if there is none.
    header: whether the first row of each file has the names of the columns; by default, if `fields` are not given.
    fields: the names of the columns, for files without a header row, or in place of the names in it.
    comment: lines that begin with this character are ignored.
    extras: what to do with fields that have no column: fail refuses the row, ignore leaves them out.
    missing: what to do if a row has too few fields: fail refuses the row, fill adds empty texts.
    encoding: the encoding of the text.
    options: of the file system of an address.
    """

    faults = (ValueError, csv.Error)

    def __init__(
        self,
        *,
        path: Paths,
        delimiter: str | None = None,
        quote: str | None = '"',
        header: bool | None = None,
        fields: list[str] | None = None,
        comment: str | None = None,
        extras: Literal["fail", "ignore"] = "fail",
        missing: Literal["fail", "fill"] = "fail",
        encoding: str = "utf-8",
        options: StorageOptions | None = None,
    ) -> None:
        self.path = path
        self.options = options
        self.delimiter = delimiter
        self.quote = quote
        self.header = header
        self.fields = fields
        self.comment = comment
        self.extras = extras
        self.missing = missing
        self.encoding = plain(encoding)

    @cached_property
    def _sniffed(self) -> dict[str, tuple[str, str | None]]:
        """Delimiter and quote of the files that were sniffed, by name."""
        return {}

    def rule(self, head: Head) -> Lines:
        quote, delimiter = (None, "") if head is None else (head[2], head[1])
        return LINES if quote is None else _rows(quote, delimiter, self.comment or "")

    def check(self) -> None:
        self._check_characters()
        if self.header is False and self.fields is None:
            raise ValueError("files without a header row need the names of the columns: fields: [a, b]")
        super().check()
        if self.stream and SNIFF in (self.delimiter, self.quote):
            raise ValueError("a stream is read only once, so it can't be sniffed; say which delimiter and quote it has")
        for file in self._files:
            self._head_of(file)

    def _check_characters(self) -> None:
        """Raises ValueError for characters that can't be what they are given for."""
        given = {"delimiter": self.delimiter, "quote": self.quote, "comment": self.comment}
        known = {name: mark for name, mark in given.items() if mark is not None and (name, mark) not in SNIFFED}
        for name, mark in known.items():
            check_character(name, mark)
        for one, other in combinations(known, 2):
            if known[one] == known[other]:
                raise ValueError(f"{one} and {other} are both {known[one]!r}, but they must differ")
        marks = {"delimiter": sniffing.DELIMITERS if self.delimiter == SNIFF else ",\t", **known}
        check_encoding(self.encoding, "".join(marks.values()))

    def _fits(self, block: bytes, head: Head) -> bool:
        # The csv module has no limit: it would read a row that is too long, of which only the first line counts here.
        return max(map(len, self.rule(head).records(block, len(block)))) <= self.max_record

    def decode(self, block: bytes, head: Head) -> list[Any]:
        assert head is not None
        names = head[0]
        if not names:
            raise ValueError("there is no header row")
        return maker(len(names))(names, self._fields(block, head))

    def _fields(self, block: bytes, head: Head) -> Iterable[list[str]]:
        """The fields of each row."""
        assert head is not None
        if self.comment and self._may_have_comments(block):
            block = b"\n".join([raw for raw in self._records(block, head) if self.counts(raw)])
        text = StringIO(block.decode(self.encoding), newline="\n")
        rows: Iterable[list[str]] = filter(None, self._reader(text, head))
        if self.extras == "ignore" or self.missing == "fill":
            return map(partial(self._fitted, len(head[0])), rows)
        return rows

    def rows(self, split: Split) -> ArrowRows | None:
        """The records of a split as the rows of a batch; None if they have to be read one by one."""
        piece = Piece(*split.data)
        batches = []
        for offset, block in self._blocks(piece):
            if isinstance(block, Overlong):
                return None
            body = block if offset else block.removeprefix(BOM)
            try:
                if body.strip(b"\r\n"):
                    batches.append(self._batch(body, piece.head))
            except self.faults:
                return None
        from stagerunner_parts.columnar.texts import joined  # late: only chains of batches ask for rows

        return joined(batches)

    def _batch(self, block: bytes, head: Head) -> Any:
        """Raises ValueError or csv.Error for records that have to be read one by one."""
        from stagerunner_parts.columnar import texts  # late, as below

        assert head is not None
        names, delimiter, quote = head
        if not names or len(set(names)) < len(names):
            raise ValueError("the columns have no names of their own")
        if len(block) > self.max_record and not self._fits(block, head):
            raise ValueError("a record is too long")
        usual = not self.comment and self.extras == self.missing == "fail"
        if usual and texts.is_plain(block, delimiter, quote, self.encoding):
            return texts.parsed(block, names, delimiter, quote)
        return texts.batch_of(self._fields(block, head), names)

    def _may_have_comments(self, block: bytes) -> bool:
        mark = (self.comment or "").encode()
        return block.startswith(mark) or b"\n" + mark in block

    def _fitted(self, width: int, row: list[str]) -> list[str]:
        """The row with as many fields as there are columns, as far as the options allow."""
        if len(row) < width and self.missing == "fill":
            return row + [""] * (width - len(row))
        return row[:width] if self.extras == "ignore" else row

    def decode_one(self, raw: bytes, head: Head) -> Any:
        assert head is not None
        names = head[0] or ()
        if wrong := no_characters(raw, self.encoding):
            return wrong
        if isinstance(rule := self.rule(head), Rows) and not rule.is_whole(raw):
            return Malformed("CSVError", "a quote opens a field and is never closed", raw.decode(self.encoding))
        try:
            row = self._fitted(len(names), self._row(raw.decode(self.encoding), head))
        except csv.Error as error:
            return Malformed("CSVError", f"the row is not CSV: {error}", raw.decode(self.encoding))
        if len(row) != len(names):
            why = f"the row has {len(row)} field{'s' * (len(row) != 1)}, but there are {len(names)} columns"
            return Malformed("FieldCount", why, raw.decode(self.encoding))
        return dict(zip(names, row, strict=True))

    def counts(self, raw: bytes) -> bool:
        return raw.strip(b"\r") != b"" and not (self.comment and raw.startswith(self.comment.encode()))

    def _row(self, record: str, head: Head) -> list[str]:
        """Parse a record, which is one row. Raises ValueError or csv.Error."""
        row: list[str]
        (row,) = self._reader([record], head)
        return row

    def _reader(self, records: Iterable[str], head: Head) -> Any:
        assert head is not None
        _, delimiter, quote = head
        # `max_record` limits the length; the limit of the csv module is one for the whole process.
        csv.field_size_limit(sys.maxsize)
        return csv.reader(records, delimiter=delimiter, quotechar=quote, quoting=sniffing.quoting(quote), strict=True)

    def _known_head(self, file: AnyFile | Unsplittable) -> Head:
        delimiter, quote = self.delimiter or usual_delimiter(file.suffixed), self.quote
        if not isinstance(file, Unsplittable) and SNIFF in (delimiter, quote):
            if file.name not in self._sniffed:
                self._sniffed[file.name] = self._sniff(file)
            delimiter, quote = self._sniffed[file.name]
        return None if self.fields is None else tuple(self.fields), delimiter, quote

    def _sniff(self, file: AnyFile) -> tuple[str, str | None]:
        with bytes_of(file) as stream:
            start = stream.read(sniffing.HEAD).removeprefix(BOM)
        text, quote = start.decode(self.encoding, "replace"), self.quote
        if quote == SNIFF:
            known = self.delimiter if self.delimiter not in (None, SNIFF) else None
            quote = sniffing.sniffed_quote(text, known or sniffing.DELIMITERS)

        def rows_with(delimiter: str) -> Iterable[str]:
            records = self._records(start, (None, delimiter, quote))
            return (raw.decode(self.encoding, "replace") for raw in islice(filter(self.counts, records), sniffing.ROWS))

        if self.delimiter != SNIFF:
            return self.delimiter or usual_delimiter(file.suffixed), quote
        return sniffing.sniffed_delimiter(rows_with, quote) or usual_delimiter(file.suffixed), quote

    def _take_head(self, known: Head) -> TakeHead | None:
        takes = self.fields is None if self.header is None else self.header
        return partial(self._names_in, known) if takes else None

    def _names_in(self, known: Head, block: Block) -> tuple[Head, int]:
        """The names in the first row of a block that isn't empty. Raises ValueError if they are invalid."""
        if isinstance(block, Overlong):
            if block.head and not self.counts(block.head.removeprefix(BOM)):
                return None, block.span
            raise self._long_names()
        used = 0
        assert known is not None
        for raw in self._records(block, known):
            row = raw if used else raw.removeprefix(BOM)
            used += len(raw) + 1
            if self.counts(row):
                return (known[0] or self._names(row, known), *known[1:]), min(used, len(block))
        return None, len(block)

    def _long_names(self) -> ValueError:
        return ValueError(f"the header row is longer than max_record allows: {self.max_record:,} bytes")

    def _names(self, raw: bytes, known: Head) -> tuple[str, ...]:
        if len(raw) > self.max_record:
            raise self._long_names()
        if wrong := no_characters(raw, self.encoding):
            raise ValueError(f"the header row can't be read: {wrong.message}")
        try:
            names = self._row(raw.decode(self.encoding), known)
        except (ValueError, csv.Error) as error:
            raise ValueError(f"the header row can't be read: {error}") from None
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:
            raise ValueError(
                f"the header row has {twice[0]!r} twice; name the columns with `fields`, and say `header: true`"
            )
        return tuple(names)


@cache
def _rows(quote: str, delimiter: str, comment: str) -> Rows:
    return Rows(quote, delimiter, comment)


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


# Where rows end


class Rows(Lines):
    """The rule of CSV: a record is a row of fields, and a field in quotes may contain newlines.

    A quote opens a field only at its start: after a delimiter, or where a record begins. The next quote that isn't
    doubled closes it. A quote that is never closed costs only its line: if a record is still open at the end of the
    input, or grows beyond the limit, its first line alone is the record. Reading continues after that line. A line that
    begins with the character of comments is a record of its own, whatever quotes are in it.
    """

    by_line = False

    def __init__(self, quote: str, delimiter: str, comment: str = "") -> None:
        self._quote, self._delimiter = quote.encode(), delimiter.encode()
        self._comments = (BOM + comment.encode(), comment.encode()) if comment else ()
        self._later_comment = f"\n{comment}".encode() if comment else b""
        q, d = re.escape(quote), re.escape(delimiter)
        # Atomic groups: there is only one way to read a row, so the regular expression needn't try others.
        field = rf"(?>{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}(?!{q})[^{d}\n]*|[^{q}{d}\n][^{d}\n]*|)"
        remark = rf"(?:{BOM.decode()})?{re.escape(comment)}[^\n]*|" if comment else ""
        row = rf"(?>{remark}{field}(?:{d}{field})*)"
        self._row = re.compile(rf"{row}(?:\n|\Z)".encode())
        self._row_or_line = re.compile(rf"({row}|[^\n]*)(?:\n|\Z)".encode())
        self._outside = re.compile(rf"\n|{d}{q}".encode())
        self._before = (self._delimiter, b"\n")
        self._opening = frozenset(b"".join(self._before))

    def is_whole(self, record: bytes) -> bool:
        """Whether every quote that opens a field of the record is closed in it."""
        return self._row.fullmatch(record) is not None

    def has_comments(self, block: bytes) -> bool:
        """Whether complete records may contain comments. A text in quotes may look like one."""
        return block.startswith(self._comments) or (bool(self._later_comment) and self._later_comment in block)

    def is_comment(self, record: bytes) -> bool:
        return record.startswith(self._comments)

    def records(self, block: bytes, longest: int) -> list[bytes]:
        if self._quote not in block:
            return super().records(block, longest)
        if len(block) <= longest:
            found: list[bytes] = self._row_or_line.findall(block)
            return found[:-1]
        ends = [0, *self._ends(block, longest, final=True)]
        return [block[start:stop].removesuffix(b"\n") for start, stop in pairwise(ends)]

    def last_end(self, data: bytes, longest: int) -> int:
        lines = super().last_end(data, longest)
        if self._quote not in data:
            return lines
        if len(data) > longest or self.has_comments(data):
            return max(self._ends(data, longest, final=False), default=0)
        pieces, at = data[:lines].split(self._quote), lines
        for piece, inside in zip(reversed(pieces), reversed(self._inside(pieces)[: len(pieces)]), strict=True):
            if not inside and (end := piece.rfind(b"\n") + 1):
                return at - len(piece) + end
            at -= len(piece) + 1
        return 0

    def _ends(self, data: bytes, longest: int, *, final: bool) -> Iterator[int]:
        """The indexes after the record ends in the data. final: the data ends with a record, even without a newline."""
        at, size = 0, len(data)
        while at < size:
            found = self._row.match(data, at)
            end = found.end() if found is not None else 0
            ended = data[end - 1 : end] == b"\n"
            whole = end > 0 and (final or ended)
            line = data.find(b"\n", at) + 1 or (size if final else 0)
            if end - ended - at > longest or (not whole and (final or size - at > longest)):
                whole, end = line > 0, line
            if not whole:
                return
            yield end
            at = end

    def _is_regular(self, pieces: list[bytes]) -> bool:
        """Whether, of these pieces between quotes, exactly the second, fourth … are inside quotes.

        That holds if each of the others ends with a delimiter or newline, so that the next quote opens a field, or is
        empty, so that the quote is doubled.
        """
        return self._opening.issuperset(map(LAST, filter(None, pieces[:-1:2])))

    def _inside(self, pieces: list[bytes]) -> bytes | bytearray:
        """For each of these pieces between quotes, 1 if it is inside a quoted field. The first one begins a record."""
        if self._is_regular(pieces):
            return b"\0\1" * (len(pieces) // 2 + 1)
        inside, state = bytearray(len(pieces)), START
        for index, piece in enumerate(pieces):
            if state == QUOTED:
                inside[index], state = 1, SEEN
            elif piece:
                state = QUOTED if piece.endswith(self._before) else PLAIN
            else:
                state = PLAIN if state == PLAIN else QUOTED
        return inside

    def scan(self, data: bytes, state: int) -> tuple[int, int]:
        if state == COMMENT or (state == BEGIN and self.is_comment(data)):
            end, _ = super().scan(data, state)
            return end, START if end else COMMENT
        at, size = 0, len(data)
        while at < size:
            if state == QUOTED:
                at = data.find(self._quote, at) + 1
                if not at:
                    return 0, QUOTED
                state = SEEN
            elif state != PLAIN and data.startswith(self._quote, at):
                at, state = at + 1, QUOTED
            else:
                found = self._outside.search(data, at)
                if found is None:
                    return 0, START if data.endswith(self._delimiter) else PLAIN
                if found[0] == b"\n":
                    return found.end(), START
                at, state = found.end(), QUOTED
        return 0, state
