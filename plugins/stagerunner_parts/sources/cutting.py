"""Where records end: at a newline, and in CSV at one outside quotes.

Inside quotes is where an odd number of quotes has been passed since the start of a record; `odd` says so throughout.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import AnyStr, NamedTuple, TypeAlias

HEAD = 256
"""Bytes that are kept of a record too long to be held."""

NEAR, FAR = 4096, 2**20
"""Bytes read at first to find the end of a record, and at most at a time."""


class Overlong(NamedTuple):
    """Stands for a record that was too long to be held.

    head: its first bytes. length: its bytes without the newline. span: with it.
    """

    head: bytes
    length: int
    span: int


Block: TypeAlias = bytes | Overlong
"""Whole records, or one that was too long."""


def first_end(data: bytes, quote: bytes, odd: bool) -> int:
    """The index behind the first record end in the data, 0 if there is none."""
    at = 0
    while True:
        if odd:
            at = data.find(quote, at) + 1
            if not at:
                return 0
        end = data.find(b"\n", at) + 1
        odd = end > 0 and is_odd(data, quote, at, end)
        if not odd:
            return end
        at = end


def last_end(data: bytes, quote: bytes, odd: bool) -> int:
    """The index behind the last record end in the data, 0 if there is none."""
    stop = len(data)
    odd ^= is_odd(data, quote, 0, stop)
    while end := data.rfind(b"\n", 0, stop) + 1:
        odd ^= is_odd(data, quote, end, stop)
        if not odd:
            return end
        stop = end - 1
    return 0


def is_odd(data: bytes, quote: bytes, start: int, stop: int) -> bool:
    """Whether an odd number of quotes is between two indexes. No quote: never."""
    return bool(quote) and data.count(quote, start, stop) % 2 == 1


def records_in(block: AnyStr, newline: AnyStr, quote: AnyStr) -> list[AnyStr]:
    """The records of a block of whole ones, each without its newline."""
    records: list[AnyStr] = block.split(newline)
    if quote and quote in block:
        records = list(_joined(records, newline, quote))
    if not records[-1]:
        del records[-1]
    return records


def _joined(lines: list[AnyStr], newline: AnyStr, quote: AnyStr) -> Iterator[AnyStr]:
    """Lines put together again where the newline between them was inside quotes."""
    open_lines: list[AnyStr] = []
    for line in lines:
        open_lines.append(line)
        if (line.count(quote) % 2 == 1) == (len(open_lines) > 1):
            yield newline.join(open_lines)
            open_lines = []
    if open_lines:
        yield newline.join(open_lines)


def cut(file: int, start: int, size: int, end: int, quote: bytes) -> int:
    """The first record end at least `size` bytes behind `start`, which is one itself; `end` if there is none before.

    It reads a little around the cut; with quotes, everything from `start` on, to count them.
    """
    goal = min(start + size - 1, end)
    odd = quote != b"" and is_odd(_read(file, start, goal), quote, 0, goal - start)
    at, amount = goal, NEAR
    while at < end:
        data = _read(file, at, min(at + amount, end))
        if stop := first_end(data, quote, odd):
            return at + stop
        odd ^= is_odd(data, quote, 0, len(data))
        at, amount = at + len(data), min(amount * 2, FAR)
    return end


def _read(file: int, start: int, stop: int) -> bytes:
    data = os.pread(file, stop - start, start)
    if not data and stop > start:
        raise OSError("a file of the source became shorter while it was read")
    return data


class Cutter:
    """Makes blocks of whole records out of bytes as they come.

    longest: bytes. A record that grows longer is dropped while it comes, and an Overlong stands in its place; one that
    comes whole may still be longer, so whoever takes a block apart looks again.
    """

    def __init__(self, longest: int, quote: bytes = b"") -> None:
        self._longest = longest
        self._quote = quote
        self._odd = False
        self._held: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> list[Block]:
        """The records that these bytes complete."""
        end = last_end(data, self._quote, self._odd)
        blocks = self._released(data, end) if end else []
        self._odd = is_odd(data, self._quote, end, len(data)) ^ (self._odd and not end)
        self._hold(data[end:])
        return blocks

    def finish(self) -> list[Block]:
        """What is left at the end: a record without a newline, or nothing."""
        if self._is_long:
            return [Overlong(self._held[0], self._length, self._length)]
        return [b"".join(self._held)] if self._length else []

    @property
    def _is_long(self) -> bool:
        return self._length > self._longest

    def _released(self, data: bytes, end: int) -> list[Block]:
        blocks: list[Block] = []
        first = 0
        if self._is_long:
            first = first_end(data, self._quote, self._odd)
            self._hold(data[: first - 1])
            blocks = [Overlong(self._held[0], self._length, self._length + 1)]
            self._held = []
        if end > first:
            blocks.append(b"".join([*self._held, data[first:end]]))
        self._held, self._length = [], 0
        return blocks

    def _hold(self, data: bytes) -> None:
        self._length += len(data)
        if self._is_long:
            self._held = [b"".join([*self._held, data[:HEAD]])[:HEAD]]
        elif data:
            self._held.append(data)
