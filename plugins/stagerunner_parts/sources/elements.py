"""The elements of a JSON array, or one value, cut out of bytes as they arrive.

A block of elements is what stands between the brackets, with a separator behind each element: a comma, or the bracket
that closes the array.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from stagerunner_parts.sources.nesting import COMMA, STEP, Nesting, ValueEnd
from stagerunner_parts.sources.pieces import HEAD, Block, Lines, Overlong


class ElementRule(Lines):
    """The rule that a record is an element of an array."""

    by_line = False

    def records(self, block: bytes, longest: int) -> list[bytes]:
        return [block[start : stop - 1] for start, stop in pairwise([0, *Nesting().ends(block)])]


class ValueRule(Lines):
    """The rule that there is one record: the whole block."""

    by_line = False

    def records(self, block: bytes, longest: int) -> list[bytes]:
        return [block]


class ElementCutter:
    """Collects elements into blocks, as `Cutter` does with lines. longest: the limit of an element, in bytes.

    ended: whether the array was closed. rest: the bytes after that.
    """

    edges: bytes | None = b",[]}\t\n\r "

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._nesting = Nesting()
        self._forget()
        self.ended = False
        self.rest = b""

    def _forget(self) -> None:
        self._held: list[bytes] = []
        self._length = 0

    def _hold(self, data: bytes) -> None:
        """Keep the bytes of an element that isn't complete; if it is too long, only its head and its length."""
        self._held.append(data)
        self._length += len(data)
        if self._length > self._longest:
            self._held = [b"".join(self._held)[:HEAD]]

    def feed(self, data: bytes) -> list[Block]:
        """Add bytes; returns the elements that they complete."""
        blocks: list[Block] = []
        if self._length > self._longest:
            end = self._first_end(data)
            self._hold(data[: end - 1] if end else data)
            if not end:
                return blocks
            blocks.append(Overlong(self._held[0], self._length, self._length + 1))
            self._forget()
            self._nesting = Nesting()
            data = data[end:]
        end = 0 if self.ended else self._last_end(data)
        if end:
            blocks.append(b"".join([*self._held, data[:end]]))
            self._forget()
        if self.ended:
            self.rest = data[end:]
        elif end < len(data):
            self._hold(data[end:])
        return blocks

    def finish(self) -> list[Block]:
        """The rest at the end of a piece, which is nothing."""
        return []

    def _first_end(self, data: bytes) -> int:
        for start, step, before in self._touching(data):
            for end in before.ends(step):
                self.ended = step[end - 1] != COMMA
                return start + end
        return 0

    def _last_end(self, data: bytes) -> int:
        for start, step, before in reversed(list(self._touching(data))):
            if ends := list(before.ends(step)):
                self.ended = step[ends[-1] - 1] != COMMA
                return start + ends[-1]
        return 0

    def _touching(self, data: bytes) -> Iterator[tuple[int, bytes, Nesting]]:
        """The steps in which an element may end: start, bytes, and the nesting before them."""
        for start in range(0, len(data), STEP):
            step, before = data[start : start + STEP], self._nesting.copy()
            lowest = self._nesting.pass_over(step)
            if lowest <= 0:
                yield start, step, before
            if lowest < 0:
                return


class WholeCutter:
    """Collects bytes that are known to be one block."""

    def __init__(self, edges: bytes | None) -> None:
        self.edges = edges
        self._held: list[bytes] = []

    def feed(self, data: bytes) -> list[Block]:
        self._held.append(data)
        return []

    def finish(self) -> list[Block]:
        return [b"".join(self._held)] if any(self._held) else []


class ValueCutter:
    """The same for a single value."""

    edges: bytes | None = None

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._end = ValueEnd()
        self._held: list[bytes] = []
        self._length = 0
        self.ended = False
        self.rest = b""

    def feed(self, data: bytes) -> list[Block]:
        """Add bytes; returns the value if they complete it."""
        end = self._end.feed(data)
        part = data if end < 0 else data[:end]
        self._held.append(part)
        self._length += len(part)
        if self._length > self._longest:
            self._held = [b"".join(self._held)[:HEAD]]
        if end < 0:
            return []
        self.ended, self.rest = True, data[end:]
        return self.finish()

    @property
    def may_end(self) -> bool:
        """Whether the end of the input can be the end of the value, as of a number."""
        return self._end.may_be_here

    def finish(self) -> list[Block]:
        """The value, which the end of the input completes."""
        if not self._length:
            return []
        held = b"".join(self._held)
        found = Overlong(held, self._length, self._length) if self._length > self._longest else held
        self._length = 0
        return [found]
