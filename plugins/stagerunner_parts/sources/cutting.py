"""Where records end: at a newline, and in CSV at one outside quotes.

A quote opens a field only at its start: after a delimiter, or where a record begins. The next quote that isn't doubled
closes it. A quote that is never closed costs only its line: if a record is still open at the end of the input, or grows
beyond the limit, the record is its first line alone, and reading continues after that line. A line that begins with the
character of comments is a record of its own, whatever quotes are in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple, TypeAlias

HEAD = 256
"""Bytes that are kept of a record that is too long."""

START, PLAIN, QUOTED, SEEN, BEGIN, COMMENT = range(6)
"""States of the scan: at the start of a field, in a field without quotes, in a quoted field, and after a quote in that,
which closes it unless another quote follows; at the start of a record, and in a comment."""

BOM = "\ufeff"

LAST = itemgetter(-1)


class Overlong(NamedTuple):
    """Replaces a record that is too long.

    head: its first bytes. length: its size in bytes without the newline. span: its size with the newline.
    """

    head: bytes
    length: int
    span: int


Block: TypeAlias = bytes | Overlong
"""Complete records, or one that is too long."""


class Lines:
    """The rule that a record is a line. `longest`, here and below: the limit of a record, in bytes."""

    by_line = True

    def records(self, block: bytes, longest: int) -> list[bytes]:
        """Split a block of complete records into records without their newlines."""
        records = block.split(b"\n")
        if not records[-1]:
            del records[-1]
        return records

    def last_end(self, data: bytes, longest: int) -> int:
        """The index after the last record end in data that begins with a record; 0 if there is none."""
        return data.rfind(b"\n") + 1

    def scan(self, data: bytes, state: int) -> tuple[int, int]:
        """The index after the first record end in the data, 0 if there is none; and the state when the scan stops."""
        return data.find(b"\n") + 1, PLAIN


class Rows(Lines):
    """The rule of CSV: a record is a row of fields, and a field in quotes may contain newlines."""

    by_line = False

    def __init__(self, quote: str, delimiter: str, comment: str = "") -> None:
        self._quote, self._delimiter = quote.encode(), delimiter.encode()
        self._comments = ((BOM + comment).encode(), comment.encode()) if comment else ()
        self._later_comment = f"\n{comment}".encode() if comment else b""
        q, d = re.escape(quote), re.escape(delimiter)
        # Atomic groups: there is only one way to read a row, so the regular expression needn't try others.
        field = rf"(?>{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}(?!{q})[^{d}\n]*|[^{q}{d}\n][^{d}\n]*|)"
        remark = rf"(?:{BOM})?{re.escape(comment)}[^\n]*|" if comment else ""
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


LINES = Lines()


class Cutter:
    """Collects bytes as they arrive into blocks of complete records.

    longest: the limit of a record, in bytes. A longer line is dropped as it arrives, and an Overlong replaces it. A
    record that arrives all at once may still be longer, so the code that splits blocks checks again.
    """

    edges: bytes | None = b"\n"
    """The byte before a block that isn't the first, and the last one of a block that isn't the last. None: any."""

    def __init__(self, longest: int, rule: Lines = LINES) -> None:
        self._longest = longest
        self._rule = rule
        self._dropping = False
        self._forget()

    def _forget(self) -> None:
        self._held: list[bytes] = []
        self._length = 0
        self._state = START

    def feed(self, data: bytes) -> list[Block]:
        """Add bytes; returns the records that they complete."""
        blocks: list[Block] = []
        if self._dropping:
            data = self._drop(data, blocks)
        if not data:
            return blocks
        if self._held:
            end, self._state = self._rule.scan(data, self._state)
            self._hold(data)
            if not end and self._length <= self._longest:
                return blocks
            data = b"".join(self._held)
            self._forget()
        self._take(data, blocks)
        return blocks

    def _take(self, data: bytes, blocks: list[Block]) -> None:
        """Take data that begins with a record: complete records to the blocks, the rest is held."""
        end = self._rule.last_end(data, self._longest)
        if end:
            blocks.append(data[:end])
        if end < len(data):
            self._hold(data[end:])
            self._state = self._rule.scan(data[end:], BEGIN)[1]
        # Only a line can leave more than the limit: a longer row has ended with its first line.
        if self._length > self._longest:
            self._dropping = True
            self._held = [data[end : end + HEAD]]

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._length += len(data)

    def _drop(self, data: bytes, blocks: list[Block]) -> bytes:
        """Drop data of the long line; returns what follows it."""
        end = data.find(b"\n") + 1
        line = data[: end - 1] if end else data
        self._held = [(self._held[0] + line[:HEAD])[:HEAD]]
        self._length += len(line)
        if not end:
            return b""
        blocks.append(Overlong(self._held[0], self._length, self._length + 1))
        self._dropping = False
        self._forget()
        return data[end:]

    def finish(self) -> list[Block]:
        """The rest at the end of the input: records, of which the last has no newline, or nothing."""
        if self._dropping:
            return [Overlong(self._held[0], self._length, self._length)]
        return [b"".join(self._held)] if self._length else []
