"""The data of a split of a file, and the making of splits from bytes as they arrive."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

from stagerunner import Split
from stagerunner_parts.sources.cutting import Block, Overlong
from stagerunner_parts.sources.inputs import Changed, InputFile

CHUNK = 2**20
"""Bytes read at a time."""

Head: TypeAlias = tuple[Any, ...] | None
"""What every piece needs from the beginning of the file, as plain data, such as the names of the columns of CSV. None
if there is nothing."""

TakeHead: TypeAlias = Callable[[Block], tuple[Head, int]]
"""Block → the head at its beginning, or None if the block has none; and the bytes used."""


class AnyCutter(Protocol):
    """What cuts bytes into blocks of complete records."""

    @property
    def edges(self) -> bytes | None: ...
    def feed(self, data: bytes) -> list[Block]: ...
    def finish(self) -> list[Block]: ...


class Piece(NamedTuple):
    """Complete records of a file.

    start, stop: the range of its bytes, decompressed. content: these bytes, unless they are read from the file when
    needed. file: the file from which they can be read again. lines: how many lines stand before it, where they were
    counted as the bytes came by.
    """

    name: str
    start: int
    stop: int
    content: Block | None = None
    head: Head = None
    file: InputFile | None = None
    lines: int | None = None

    @property
    def end(self) -> list[Any]:
        """The position behind it."""
        lines = self.lines_before(self.stop)
        return [self.name, self.stop] if lines is None else [self.name, self.stop, lines]

    def lines_before(self, at: int) -> int | None:
        """How many lines end before this offset in it, if they were counted."""
        if self.lines is None:
            return None
        if isinstance(self.content, Overlong):
            return self.lines + (at > self.start)
        return self.lines + (self.content or b"").count(b"\n", 0, at - self.start)

    def to(self, at: int) -> Piece:
        """The piece of the records before this offset."""
        content = self.content[: at - self.start] if isinstance(self.content, bytes) else None
        return self._replace(stop=at, content=content)

    def since(self, at: int) -> Piece:
        """The piece of the records from this offset on."""
        content = self.content[at - self.start :] if isinstance(self.content, bytes) else None
        return self._replace(start=at, content=content, lines=self.lines_before(at))

    def goes_on(self, other: Piece) -> bool:
        """Whether the other piece begins where this one ends, and both can be joined."""
        alike = (self.name, self.stop, type(self.content), self.head)
        return alike == (other.name, other.start, type(other.content), other.head)

    def with_more(self, other: Piece) -> Piece:
        """This piece joined with the one that follows it."""
        content = None
        if isinstance(self.content, bytes) and isinstance(other.content, bytes):
            content = self.content + other.content
        return self._replace(stop=other.stop, content=content)

    def blocks(self, cutter: AnyCutter) -> Iterator[tuple[int, Block]]:
        """Yields offset and records, block by block. Raises OSError if the file is gone or has changed."""
        if isinstance(self.content, Overlong):
            yield self.start, self.content
            return
        at = self.start
        for data in self._chunks(cutter.edges):
            for block in cutter.feed(data):
                yield at, block
                at += span(block)
        for block in cutter.finish():
            yield at, block

    def _chunks(self, edges: bytes | None) -> Iterator[bytes]:
        if isinstance(self.content, bytes):
            yield self.content
            return
        assert self.file is not None
        with InputFile(*self.file).opened() as file:
            at = self.start
            while at < self.stop:
                data = read(self.file, file.fileno(), at, min(at + CHUNK, self.stop))
                at += len(data)
                # If the file has grown, it may also have been emptied first and filled again.
                if not self.file.verify(file.fileno()) and not self._edges_are_there(file.fileno(), edges):
                    raise self.file.overwritten()
                yield data

    def _edges_are_there(self, fd: int, edges: bytes | None) -> bool:
        """Whether the piece still begins after one of these bytes and ends with one, except at the ends of the file."""
        assert self.file is not None
        offsets = [offset - 1 for offset in (self.start, self.stop) if 0 < offset < self.file.size]
        return edges is None or all((os.pread(fd, 1, offset) or b"\0") in edges for offset in offsets)


def read(file: InputFile, fd: int, start: int, stop: int) -> bytes:
    """Some of these bytes, from the first on. Raises Changed if there are none."""
    data = os.pread(fd, stop - start, start)
    if not data:
        file.verify(fd)
        raise Changed(f"{file.name} became shorter during the run")
    return data


def span(block: Block) -> int:
    """How many bytes of the file a block covers."""
    return block.span if isinstance(block, Overlong) else len(block)


class Splitter:
    """Makes splits of complete records from bytes as they arrive, from a pipe or a compressed file.

    at: offset of the first byte. resumable: whether splits have a position. take_head: finds the head in the first
    bytes; None if it is known. file: where the bytes can be read again, so that splits needn't hold them. lines: how
    many lines stand before the first byte, if they are to be counted.
    """

    def __init__(
        self,
        name: str,
        cutter: AnyCutter,
        *,
        at: int = 0,
        resumable: bool = False,
        head: Head = None,
        take_head: TakeHead | None = None,
        file: InputFile | None = None,
        lines: int | None = None,
    ) -> None:
        self._name = name
        self._cutter = cutter
        self._at = at
        self._resumable = resumable
        self._head = head
        self._take_head = take_head
        self._file = file
        self._lines = lines

    def feed(self, data: bytes) -> list[Split]:
        """Add bytes; returns the splits that they complete."""
        return self._splits(self._cutter.feed(data))

    def finish(self) -> list[Split]:
        """The splits of the rest, at the end of the input."""
        return self._splits(self._cutter.finish())

    def _splits(self, blocks: list[Block]) -> list[Split]:
        bodies = (self._body(block) for block in blocks)
        return [self._split(body) for body in bodies if body]

    def _body(self, block: Block) -> Block:
        """The block without the head, if that is in it."""
        if self._take_head is None:
            return block
        self._head, used = self._take_head(block)
        if self._head is not None:
            self._take_head = None
        self._at += used
        if self._lines is not None:
            self._lines += 1 if isinstance(block, Overlong) else block[:used].count(b"\n")
        return b"" if isinstance(block, Overlong) else block[used:]

    def _split(self, block: Block) -> Split:
        start, size = self._at, span(block)
        self._at += size
        held = None if self._file is not None and not isinstance(block, Overlong) else block
        piece = Piece(self._name, start, self._at, held, self._head, self._file, self._lines)
        self._lines = piece.lines_before(self._at)
        most = 1 if isinstance(block, Overlong) else size
        return Split(piece, size, piece.end if self._resumable else None, most)
