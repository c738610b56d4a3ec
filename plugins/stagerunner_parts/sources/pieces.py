"""What a split of a file holds, and how bytes that come one after another are made into splits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from stagerunner import Split
from stagerunner_parts.sources.cutting import Block, Cutter, Overlong

CHUNK = 2**20
"""Bytes read at a time."""

Head: TypeAlias = tuple[str, ...] | None
"""What every piece of a file has to know of its beginning: the names of a CSV file's columns."""

TakeHead: TypeAlias = Callable[[Block], tuple[Head, int]]
"""The head that a block begins with, or None if the block is used up without one; and the bytes used."""


class Piece(NamedTuple):
    """Whole records of a file. start, stop: its bytes, decompressed. content: these bytes, if the file isn't to be
    read for them."""

    name: str
    start: int
    stop: int
    content: Block | None = None
    head: Head = None

    def blocks(self, cutter: Cutter) -> Iterator[tuple[int, Block]]:
        """Offset in the file and the records from there on, block by block. Raises OSError when the file is gone."""
        if isinstance(self.content, Overlong):
            yield self.start, self.content
            return
        at = self.start
        for data in self._chunks():
            for block in cutter.feed(data):
                yield at, block
                at += span(block)
        for block in cutter.finish():
            yield at, block

    def _chunks(self) -> Iterator[bytes]:
        if isinstance(self.content, bytes):
            yield self.content
            return
        with open(self.name, "rb", buffering=0) as file:
            file.seek(self.start)
            left = self.stop - self.start
            while left:
                data = file.read(min(left, CHUNK))
                if not data:
                    raise OSError(f"{self.name} became shorter while it was read")
                left -= len(data)
                yield data


def span(block: Block) -> int:
    """The bytes of the file that a block stands for."""
    return block.span if isinstance(block, Overlong) else len(block)


class Feeding:
    """Makes splits of whole records out of bytes as they come, from a pipe or a compressed file.

    at: offset of the first byte. resumable: whether splits have a position. take_head: how the head is found in
    what comes; None when it is known.
    """

    def __init__(
        self,
        name: str,
        cutter: Cutter,
        *,
        at: int = 0,
        resumable: bool = False,
        head: Head = None,
        take_head: TakeHead | None = None,
    ) -> None:
        self._name = name
        self._cutter = cutter
        self._at = at
        self._resumable = resumable
        self._head = head
        self._take_head = take_head

    def feed(self, data: bytes) -> list[Split]:
        """The splits that these bytes complete."""
        return self._splits(self._cutter.feed(data))

    def finish(self) -> list[Split]:
        """The rest."""
        return self._splits(self._cutter.finish())

    def _splits(self, blocks: list[Block]) -> list[Split]:
        bodies = (self._body(block) for block in blocks)
        return [self._split(body) for body in bodies if body]

    def _body(self, block: Block) -> Block:
        """The block without the head that stands in it."""
        if self._take_head is None:
            return block
        self._head, used = self._take_head(block)
        if self._head is not None:
            self._take_head = None
        self._at += used
        return b"" if isinstance(block, Overlong) else block[used:]

    def _split(self, block: Block) -> Split:
        start, size = self._at, span(block)
        self._at += size
        piece = Piece(self._name, start, self._at, block, self._head)
        most = 1 if isinstance(block, Overlong) else size
        return Split(piece, size, [self._name, self._at] if self._resumable else None, most)
