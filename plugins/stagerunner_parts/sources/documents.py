"""JSON documents as they arrive: finds what is wanted in one, cuts it into blocks, and checks that nothing is missing.

Only brackets, quotes and commas are looked at, and the names on the way to what is wanted; values are decoded where the
records are read.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import suppress
from typing import TypeAlias

import msgspec.json

from stagerunner_parts.sources.elements import ElementCutter, ValueCutter
from stagerunner_parts.sources.nesting import ValueEnd
from stagerunner_parts.sources.pieces import Block, span

BOM = b"\xef\xbb\xbf"
LONGEST_NAME = 2**20
SHOWN = 10
"""So many names are shown if one isn't there."""

_SPACE = re.compile(rb"[ \t\n\r]*+")
_NAME = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)

Waiting: TypeAlias = Generator[None, bytes, None]
WaitingForBytes: TypeAlias = Generator[None, bytes, bytes]


class Document:
    """A document whose bytes are fed to it.

    keys: the way to what is wanted: names, and numbers of elements. longest: the limit of a record, in bytes. start:
    the offset at which to go on, 0 for all of it. found: whether the beginning of what is wanted has been seen.
    single: it is one value, and not an array.
    """

    def __init__(self, name: str, keys: list[str], longest: int, start: int = 0) -> None:
        self.found = self.single = False
        self._name, self._keys, self._longest, self._start = name, keys, longest, start
        self._data, self._at, self._offset = b"", 0, 0
        self._needless = 0
        self._blocks: list[tuple[int, Block]] = []
        self._course = self._whole()
        next(self._course)

    def feed(self, data: bytes) -> list[tuple[int, Block]]:
        """Add bytes, none at the end; returns offsets and blocks that they complete.

        Raises ValueError, with a message, if the document ends too early, isn't JSON, or doesn't have what is wanted.
        """
        self._blocks = []
        with suppress(StopIteration):
            self._course.send(data)
        return self._blocks

    def skip(self) -> int:
        """How many of the next bytes needn't be fed. They are taken for fed."""
        skipped, self._needless = self._needless, 0
        self._offset += skipped
        return skipped

    # The course of a document: generators that are sent its bytes

    def _whole(self) -> Waiting:
        yield from self._mark()
        for depth, key in enumerate(self._keys):
            yield from self._step_to(key, depth)
        opening = yield from self._beginning()
        self.found, self.single = True, opening != b"["
        if self.single:
            yield from self._value()
        else:
            self._at += 1
            yield from self._elements()
        yield from self._rest()

    def _mark(self) -> Waiting:
        while len(self._data) < len(BOM) and BOM.startswith(self._data):
            data = yield
            if not data:
                raise self._ends_early()
            self._data += data
        if self._data.startswith(BOM):
            self._at = len(BOM)

    def _step_to(self, key: str, depth: int) -> Waiting:
        opening = yield from self._byte()
        if opening == b"{":
            yield from self._member(key, depth)
        elif opening == b"[" and key.isdecimal():
            yield from self._element(int(key), depth)
        else:
            kind = "an array: give the number of an element" if opening == b"[" else "neither an object nor an array"
            raise self._not_there(key, depth, f"that is {kind}")

    def _member(self, key: str, depth: int) -> Waiting:
        names: list[str] = []
        follows = b"{"
        while follows in (b"{", b","):
            self._at += 1
            if (yield from self._byte()) == b"}" and not names:
                break
            name = yield from self._name_here()
            yield from self._expected(b":")
            if name == key:
                return
            names.append(name)
            yield from self._over_value()
            follows = yield from self._byte()
        if (yield from self._byte()) != b"}":
            raise self._wrong("here `,` or `}` is expected")
        raise self._not_there(key, depth, f"it has {_listed(names)}")

    def _element(self, number: int, depth: int) -> Waiting:
        self._at += 1
        for passed in range(number + 1):
            if (yield from self._byte()) == b"]":
                raise self._not_there(str(number), depth, f"it has {passed} elements")
            if passed == number:
                return
            yield from self._over_value()
            follows = yield from self._byte()
            if follows == b",":
                self._at += 1
            elif follows != b"]":
                raise self._wrong("here `,` or `]` is expected")

    def _elements(self) -> Waiting:
        if self._start > self._here:
            # The byte before a position is the separator behind the last element that was cut.
            yield from self._skip_to(self._start - 1)
            ended = (yield from self._byte()) != b","
            self._at += 1
            if ended:
                return
        elif (yield from self._byte()) == b"]":
            self._at += 1
            return
        cutter = ElementCutter(self._longest)
        yield from self._cut(cutter)
        self._at = len(self._data) - len(cutter.rest)
        if self._data[self._at - 1 : self._at] != b"]":
            self._at -= 1
            raise self._wrong("here `}` closes the array")

    def _value(self) -> Waiting:
        if self._start > self._here:
            yield from self._skip_to(self._start)
            return
        cutter = ValueCutter(self._longest)
        yield from self._cut(cutter)
        self._at = len(self._data) - len(cutter.rest)

    def _cut(self, cutter: ElementCutter | ValueCutter) -> Waiting:
        """Cut all that is left of the data, and what follows, until the cutter is at its end."""
        offset = self._here
        data = self._data[self._at :]
        while True:
            for block in cutter.feed(data):
                self._blocks.append((offset, block))
                offset += span(block)
            if cutter.ended:
                return
            self._at = len(self._data)
            data = yield
            self._take(data)
            if not data:
                break
        if isinstance(cutter, ValueCutter) and cutter.may_end and not self._keys:
            self._blocks += [(offset, block) for block in cutter.finish()]
            return
        raise self._ends_early()

    def _rest(self) -> Waiting:
        if self._keys:
            end = ValueEnd(len(self._keys))
            yield from self._over(end)
        if (yield from self._byte(or_end=True)):
            raise self._wrong(
                "here something follows the document; for a JSON value on each line there is `use: jsonl`"
            )

    # Bytes

    @property
    def _here(self) -> int:
        """The offset of the next byte."""
        return self._offset + self._at

    def _take(self, data: bytes) -> None:
        self._offset += self._at
        self._data, self._at = self._data[self._at :] + data, 0

    def _more(self) -> Waiting:
        data = yield
        if not data:
            raise self._ends_early()
        self._take(data)

    def _byte(self, *, or_end: bool = False) -> WaitingForBytes:
        """The next byte that isn't white space; it isn't taken. or_end: nothing if there is none."""
        while True:
            found = _SPACE.match(self._data, self._at)
            assert found is not None
            self._at = found.end()
            if self._at < len(self._data):
                return self._data[self._at : self._at + 1]
            data = yield
            if not data and or_end:
                return b""
            if not data:
                raise self._ends_early()
            self._take(data)

    def _expected(self, byte: bytes) -> Waiting:
        if (yield from self._byte()) != byte:
            raise self._wrong(f"here `{byte.decode()}` is expected")
        self._at += 1

    def _name_here(self) -> Generator[None, bytes, str]:
        if (yield from self._byte()) != b'"':
            raise self._wrong("here a name in quotes is expected")
        while (found := _NAME.match(self._data, self._at)) is None:
            if len(self._data) - self._at > LONGEST_NAME:
                raise self._wrong("here a name begins that is too long")
            yield from self._more()
        try:
            name = msgspec.json.decode(found[0], type=str)
        except ValueError:
            raise self._wrong("this name isn't JSON") from None
        self._at = found.end()
        return name

    def _beginning(self) -> WaitingForBytes:
        """The first byte of a value."""
        byte = yield from self._byte()
        if byte in b",:]}":
            raise self._wrong("here a value is expected")
        return byte

    def _over_value(self) -> Waiting:
        yield from self._beginning()
        yield from self._over(ValueEnd())

    def _over(self, value: ValueEnd) -> Waiting:
        while (end := value.feed(self._data[self._at :])) < 0:
            self._at = len(self._data)
            yield from self._more()
        self._at += end

    def _skip_to(self, offset: int) -> Waiting:
        """Take no notice of what stands before this offset."""
        while self._offset + len(self._data) < offset:
            self._at = len(self._data)
            self._take(b"")
            self._needless = offset - self._offset
            yield from self._more()
        self._at = offset - self._offset

    # Mistakes

    def _wrong(self, why: str) -> ValueError:
        return ValueError(f"{self._name} isn't JSON: byte {self._here:,}: {why}")

    def _ends_early(self) -> ValueError:
        if not self._data.strip() and not self._here:
            return ValueError(f"{self._name} is empty, so there is no JSON document in it")
        return ValueError(f"{self._name} ends in the middle of its JSON, at byte {self._offset + len(self._data):,}")

    def _not_there(self, key: str, depth: int, why: str) -> ValueError:
        return ValueError(f"{self._name} has no {'.'.join(self._keys[: depth + 1])!r}: {why}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN]) or "no names"
    return f"{shown} …" if len(names) > SHOWN else shown
