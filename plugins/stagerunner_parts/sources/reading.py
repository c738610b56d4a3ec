"""What the sources that read files of records have in common.

In the parent a plain file is cut into byte ranges at record ends; of a compressed one, which can't be read from the
middle, and of standard input the bytes themselves become splits. In the worker a split is read block by block: a block
at once while all is well with it, else record by record.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import IO, Any

from stagerunner import Malformed, Origin, Split, Want
from stagerunner_parts.compression import is_compressed, opened
from stagerunner_parts.sources.cutting import HEAD, Block, Cutter, Overlong, cut, records_in
from stagerunner_parts.sources.inputs import STDIN, InputFile, find, remaining
from stagerunner_parts.sources.pieces import CHUNK, Feeding, Head, Piece, TakeHead
from stagerunner_parts.sources.places import LineNumbers, Offsets

BOM = b"\xef\xbb\xbf"
LARGEST = 262144
"""Bytes of a split, the rest of its last record aside."""


class RecordFiles(ABC):
    """A source of records that end at a newline. `max_record` is set by the runner: bytes a record may have."""

    path: Path | list[Path]
    max_record: int = 16 * 2**20
    quote_byte: bytes = b""
    """A newline between two of these ends no record."""
    _asked: tuple[tuple[str, int, int], Offsets] | None = None
    """The split that was last asked about."""

    @property
    def stdin(self) -> bool:
        """Whether the bytes are given to `feed`."""
        return self.path in (STDIN, [STDIN])

    @cached_property
    def _lines(self) -> LineNumbers:
        return LineNumbers()

    @cached_property
    def _files(self) -> list[InputFile]:
        return find(self.path)

    def check(self) -> None:
        """Raises OSError or ValueError, with a sentence, when there is nothing to read."""
        if not self.stdin:
            self._files  # noqa: B018  finding them is the check

    def identity(self) -> Any:
        return [] if self.stdin else [file.identity() for file in self._files]

    def size(self) -> int | None:
        """Bytes in all; None where that shows only while reading."""
        if self.stdin or any(is_compressed(file.name) for file in self._files):
            return None
        return sum(file.size for file in self._files)

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: [file, offset]. Raises OSError when a file is gone or damaged."""
        if self.stdin:
            raise ValueError("standard input is fed, it can't be split")
        for file, start in remaining(self._files, after):
            yield from self._fed(file, start, want) if is_compressed(file.name) else self._cut(file, start, want)

    def _cut(self, file: InputFile, start: int, want: Want) -> Iterator[Split]:
        head, body = self._head_of(file.name)
        start = max(start, body)
        with open(file.name, "rb", buffering=0) as opened_file:
            while start < file.size:
                stop = cut(opened_file.fileno(), start, _size(want), file.size, self.quote_byte)
                piece = Piece(file.name, start, stop, None, head)
                yield Split(piece, stop - start, [file.name, stop], stop - start)
                start = stop

    def _fed(self, file: InputFile, start: int, want: Want) -> Iterator[Split]:
        head, body = self._head_of(file.name)
        start = max(start, body)
        feeding = Feeding(file.name, self._cutter(), at=start, resumable=True, head=head)
        with opened(file.name) as stream:
            _skip(stream, start)
            while data := stream.read(_size(want)):
                yield from feeding.feed(data)
        yield from feeding.finish()

    @cached_property
    def _feeding(self) -> Feeding:
        return Feeding("stdin", self._cutter(), head=self._known_head(), take_head=self._take_head())

    def feed(self, data: bytes) -> list[Split]:
        """The splits that these bytes of standard input complete."""
        return self._feeding.feed(data)

    def feed_end(self) -> list[Split]:
        """The rest of standard input."""
        return self._feeding.finish()

    def read(self, split: Split) -> Iterator[Any]:
        """Exactly one item for each record of the split, in order: it, or what is wrong with it."""
        piece = Piece(*split.data)
        # No generator of our own stands between the records and who takes them: that would be 60 ns for each.
        return chain.from_iterable(
            self._items(block, offset, piece.head) for offset, block in piece.blocks(self._cutter())
        )

    def locate(self, split: Split, number: int) -> Origin:
        """Where record `number` of the split begins, worked out by reading the split again."""
        piece = Piece(*split.data)
        if self._asked is None or self._asked[0] != piece[:3]:
            self._asked = (piece[:3], Offsets(self._offsets(piece)))
        offset = self._asked[1][number]
        # Of what was decompressed or fed no file could be counted.
        line = None if piece.content is not None or offset is None else self._lines.at(piece.name, offset)
        return Origin(piece.name, offset, line=line)

    def _items(self, block: Block, offset: int, head: Head) -> Iterable[Any]:
        if isinstance(block, Overlong):
            return [self._too_long(block.head, block.length)]
        body = block if offset else block.removeprefix(BOM)
        if self._fits(block):
            try:
                return self.decode(body, head)
            except self.faults:
                pass
        return self._one_by_one(block, offset, head)

    def _fits(self, block: bytes) -> bool:
        records = (block,) if len(block) <= self.max_record else records_in(block, b"\n", self.quote_byte)
        return max(map(len, records)) <= self.max_record

    def _one_by_one(self, block: bytes, offset: int, head: Head) -> Iterator[Any]:
        for raw in records_in(block, b"\n", self.quote_byte):
            if len(raw) > self.max_record:
                yield self._too_long(raw[:HEAD], len(raw))
            elif self.counts(record := raw if offset else raw.removeprefix(BOM)):
                yield self.decode_one(record, head)
            offset += len(raw) + 1

    def _offsets(self, piece: Piece) -> Iterator[int]:
        for offset, block in piece.blocks(self._cutter()):
            if isinstance(block, Overlong):
                yield offset
                continue
            at = offset
            for raw in records_in(block, b"\n", self.quote_byte):
                if len(raw) > self.max_record or self.counts(raw if at else raw.removeprefix(BOM)):
                    yield at
                at += len(raw) + 1

    def _too_long(self, head: bytes, length: int) -> Malformed:
        text = f"a record of {length:,} bytes; max_record allows {self.max_record:,}"
        return Malformed("TooLarge", text, head)

    def _cutter(self) -> Cutter:
        return Cutter(self.max_record, self.quote_byte)

    def _known_head(self) -> Head:
        return None

    def _take_head(self) -> TakeHead | None:
        return None

    def _head_of(self, name: str) -> tuple[Head, int]:
        """The head of a file and the offset behind it."""
        take, at = self._take_head(), 0
        if take is None:
            return self._known_head(), 0
        with opened(name) as stream:
            for block in _all_blocks(stream, self._cutter()):
                head, used = take(block)
                at += used
                if head is not None:
                    return head, at
        return None, at

    faults: tuple[type[Exception], ...] = (ValueError,)
    """What `decode` raises when a record of the block can't be decoded."""

    @abstractmethod
    def decode(self, block: bytes, head: Head) -> list[Any]:
        """The records of a block. Raises one of `faults`."""

    @abstractmethod
    def decode_one(self, raw: bytes, head: Head) -> Any:
        """One record from its bytes, without the newline; Malformed if that can't be done."""

    def counts(self, raw: bytes) -> bool:
        """Whether these bytes are a record, and not an empty line that means nothing."""
        return True


def _size(want: Want) -> int:
    return max(1, min(want.size, LARGEST))


def _skip(stream: IO[bytes], left: int) -> None:
    while left and (data := stream.read(min(left, CHUNK))):
        left -= len(data)


def _all_blocks(stream: IO[bytes], cutter: Cutter) -> Iterator[Block]:
    while data := stream.read(LARGEST):
        yield from cutter.feed(data)
    yield from cutter.finish()
