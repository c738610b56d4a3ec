"""Where values of a JSON text end: by counting brackets outside quotes.

`[` and `{` are counted alike, so a value that is malformed inside still ends somewhere. A backslash escapes a quote or
a backslash, everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

STEP = 16384
"""Bytes that are passed over at once. Only the last of these steps is looked at more closely."""

PASSES = 16
"""Brackets that are nested deeper than this are counted one by one."""

_BRACES = bytes.maketrans(b"[]", b"{}")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ESCAPED = rb'\\["\\]?'
_TEXT = rb'"(?:[^"\\]++|' + _ESCAPED + rb')*+"'
_TEXT_END = re.compile(rb'(?:[^"\\]++|' + _ESCAPED + rb')*+"')
_TO_BRACKET = re.compile(rb'(?:[^"\\\[\]{}]++|' + _ESCAPED + b"|" + _TEXT + rb")*+[\[\]{}]")
_TO_SEPARATOR = re.compile(rb'(?:[^"\\\[\]{},]++|' + _ESCAPED + b"|" + _TEXT + rb")*+[\[\]{},]")
_OPENING, COMMA = b"[{", ord(",")


class Nesting:
    """How the next byte of a text is nested: in so many brackets, in quotes, behind a backslash."""

    __slots__ = ("depth", "escaped", "quoted")

    def __init__(self, depth: int = 0, *, quoted: bool = False, escaped: bool = False) -> None:
        self.depth = depth
        self.quoted = quoted
        self.escaped = escaped

    def copy(self) -> Nesting:
        return Nesting(self.depth, quoted=self.quoted, escaped=self.escaped)

    def pass_over(self, data: bytes) -> int:
        """Go on behind the data, which isn't empty. Returns the lowest depth on the way."""
        if self.escaped and data[:1] in (b'"', b"\\"):
            data = b" " + data[1:]
        self.escaped = False
        if b"\\" in data:
            data = data.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
            self.escaped = data.endswith(b"\\")
        pieces = data.split(b'"')
        outside = b"".join(pieces[self.quoted :: 2])
        self.quoted ^= len(pieces) % 2 == 0
        closing, opening = _unmatched(outside.translate(_BRACES, _NO_BRACKETS))
        lowest = self.depth - closing
        self.depth = lowest + opening
        return lowest

    def ends(self, data: bytes, *, values: bool = False) -> Iterator[int]:
        """The indexes after the commas at depth 0, and after the first bracket that leads out of depth 0.

        values: where values end instead: after the brackets that lead back to depth 0, and before these. The nesting
        stays as it is.
        """
        at = 1 if self.escaped and data[:1] in (b'"', b"\\") else 0
        if self.quoted:
            found = _TEXT_END.match(data, at)
            if found is None:
                return
            at = found.end()
        depth = self.depth
        while found := (_TO_BRACKET if depth else _TO_SEPARATOR).match(data, at):
            at = found.end()
            byte = data[at - 1]
            if byte in _OPENING:
                depth += 1
            elif byte == COMMA:
                yield at - values
            else:
                depth -= 1
                if depth < 0:
                    yield at - values
                    return
                if values and not depth:
                    yield at


def _unmatched(braces: bytes) -> tuple[int, int]:
    """How many closing braces have no opening one before them, and how many opening ones no closing one after them."""
    for _ in range(PASSES):
        fewer = braces.replace(b"{}", b"")
        if len(fewer) == len(braces):
            return fewer.count(b"}"), fewer.count(b"{")
        braces = fewer
    closing = opening = 0
    for brace in braces:
        if brace == ord("{"):
            opening += 1
        elif opening:
            opening -= 1
        else:
            closing += 1
    return closing, opening


class ValueEnd:
    """Finds where a value ends whose bytes arrive in pieces. depth: how deep they begin in it."""

    def __init__(self, depth: int = 0) -> None:
        self._nesting = Nesting(depth)

    @property
    def may_be_here(self) -> bool:
        """Whether no bracket and no quote is open."""
        return not self._nesting.depth and not self._nesting.quoted

    def feed(self, data: bytes) -> int:
        """The index after the value, in data that follows; -1 if it doesn't end there.

        After a number, a text or a word, that is the index of the comma or bracket.
        """
        for start in range(0, len(data), STEP):
            step = data[start : start + STEP]
            before = self._nesting.copy()
            if self._nesting.pass_over(step) > 0:
                continue
            for end in before.ends(step, values=True):
                return start + end
        return -1
