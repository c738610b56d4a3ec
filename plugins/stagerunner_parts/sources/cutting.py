"""Where records end: at a newline, and in CSV at one outside quotes.

A quote opens a field at the field's start only: behind a delimiter, or where a record begins. The next quote that isn't
doubled closes it. A quote that never closes costs its row: a record that is open at the end of the input, or grows
beyond what a record may have, is its first line alone, and what follows that line is read anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple, TypeAlias

HEAD = 256
"""Bytes that are kept of a record too long to be held."""

START, PLAIN, QUOTED, SEEN = range(4)
"""Where in a record one stands: at the start of a field, in one without quotes, in a quoted one, behind a quote in that
one which closes it unless another quote follows."""

LAST = itemgetter(-1)


class Overlong(NamedTuple):
    """Stands for a record that was too long to be held.

    head: its first bytes. length: its bytes without the newline. span: with it.
    """

    head: bytes
    length: int
    span: int


Block: TypeAlias = bytes | Overlong
"""Whole records, or one that was too long."""


class Lines:
    """A record is a line. `longest`, here and below: bytes that a record may have."""

    by_line = True

    def records(self, block: bytes, longest: int) -> list[bytes]:
        """The records of a block of whole ones, each without its newline."""
        records = block.split(b"\n")
        if not records[-1]:
            del records[-1]
        return records

    def last_end(self, data: bytes, longest: int) -> int:
        """The index behind the last record end that shows in data that begins with a record; 0 if none does."""
        return data.rfind(b"\n") + 1

    def scan(self, data: bytes, state: int) -> tuple[int, int]:
        """The index behind the first record end in the data, 0 if there is none; and where it leaves off."""
        return data.find(b"\n") + 1, PLAIN


class Rows(Lines):
    """A record is a row of fields between delimiters, and a field in quotes may hold newlines."""

    by_line = False

    def __init__(self, quote: str, delimiter: str) -> None:
        self._quote, self._delimiter = quote.encode(), delimiter.encode()
        q, d = re.escape(quote), re.escape(delimiter)
        # Atomic groups: there is only one way to read a row, and no other is to be tried.
        field = rf"(?>{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}(?!{q})[^{d}\n]*|[^{q}{d}\n][^{d}\n]*|)"
        row = rf"(?>{field}(?:{d}{field})*)"
        self._row = re.compile(rf"{row}(?:\n|\Z)".encode())
        self._row_or_line = re.compile(rf"({row}|[^\n]*)(?:\n|\Z)".encode())
        self._outside = re.compile(rf"\n|{d}{q}".encode())
        self._before = (self._delimiter, b"\n")
        self._opening = frozenset(b"".join(self._before))

    def is_whole(self, record: bytes) -> bool:
        """Whether every quote that opens a field of the record closes in it."""
        return self._row.fullmatch(record) is not None

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
        if len(data) > longest:
            return max(self._ends(data, longest, final=False), default=0)
        pieces, at = data[:lines].split(self._quote), lines
        for piece, inside in zip(reversed(pieces), reversed(self._inside(pieces)[: len(pieces)]), strict=True):
            if not inside and (end := piece.rfind(b"\n") + 1):
                return at - len(piece) + end
            at -= len(piece) + 1
        return 0

    def _ends(self, data: bytes, longest: int, *, final: bool) -> Iterator[int]:
        """The indexes behind the ends of the records in the data. final: it ends with one, newline or not."""
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
        """Whether of these pieces between quotes every second one is inside of them, beginning with the second.

        It is so if each of the others is followed by a quote that opens a field, or is doubled: if it ends behind a
        delimiter or newline, or is empty.
        """
        return self._opening.issuperset(map(LAST, filter(None, pieces[:-1:2])))

    def _inside(self, pieces: list[bytes]) -> bytes | bytearray:
        """For each of these pieces between quotes, the first of which begins a record, 1 if it is in a field's."""
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
        at, size = 0, len(data)
        while at < size:
            if state == QUOTED:
                at = data.find(self._quote, at) + 1
                if not at:
                    return 0, QUOTED
                state = SEEN
            elif state in (START, SEEN) and data.startswith(self._quote, at):
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
    """Makes blocks of whole records out of bytes as they come.

    longest: bytes. A line that grows longer is dropped while it comes, and an Overlong stands in its place; one that
    comes whole may still be longer, so whoever takes a block apart looks again.
    """

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
        """The records that these bytes complete."""
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
        """Data that begins with a record."""
        end = self._rule.last_end(data, self._longest)
        if end:
            blocks.append(data[:end])
        if end < len(data):
            self._hold(data[end:])
            self._state = self._rule.scan(data[end:], START)[1]
        # Only of a line can more than that be left: a row that is longer has ended with its first line.
        if self._length > self._longest:
            self._dropping = True
            self._held = [data[end : end + HEAD]]

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._length += len(data)

    def _drop(self, data: bytes, blocks: list[Block]) -> bytes:
        """What follows the long line."""
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
        """What is left at the end: records, the last one without a newline; or nothing."""
        if self._dropping:
            return [Overlong(self._held[0], self._length, self._length)]
        return [b"".join(self._held)] if self._length else []
