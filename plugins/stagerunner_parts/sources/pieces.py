"""A file of records in pieces: the file as it was found, where its records end, and the data of a split.

    bytes of an InputFile ─▶ Cutter ─▶ blocks of complete records ─▶ Splitter ─▶ splits, each with a Piece

A Piece has its bytes, or reads them from the file again, through another Cutter.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import IO, Any, AnyStr, NamedTuple, Protocol, TypeAlias
from zlib import crc32

from stagerunner import Split

CHUNK = 2**20
"""Bytes read at a time."""

WHOLE = 4 * CHUNK
"""Bytes of a split up to which a worker reads it at once: records would have to be put together of two reads."""

SIGNED = 4096
"""Bytes at the start of a file whose checksum is part of its identity."""

HEAD = 256
"""Bytes that are kept of a record that is too long."""

START, PLAIN, QUOTED, SEEN, BEGIN, COMMENT = range(6)
"""States of a scan for the end of a record, which only CSV needs (sources/csv.py): at the start of a field, in a field
without quotes, in a quoted field, and after a quote in that, which closes it unless another quote follows; at the start
of a record, and in a comment."""


class Changed(OSError):
    """The file has changed since it was found."""


class InputFile(NamedTuple):
    """A file as it was found. Only `size` bytes are read, even if it grows. head: checksum of its start, once known."""

    name: str
    size: int
    changed: int
    device: int = 0
    inode: int = 0
    head: int | None = None

    @property
    def suffixed(self) -> str:
        """A name that ends as the file's name does."""
        return self.name

    def identity(self) -> dict[str, Any]:
        """JSON data that differs if the file has changed. Raises OSError if it is gone."""
        with self.opened() as file:
            head = f"{self._head(file.fileno()):08x}"
        return {"path": self.name, "size": self.size, "mtime_ns": self.changed, "head": head}

    def opened(self) -> IO[bytes]:
        """Open the file to read. Raises Changed if another file has this name now, OSError if none has."""
        file = open(self.name, "rb", buffering=0)  # noqa: SIM115  the caller closes it
        try:
            self.verify(file.fileno())
        except BaseException:
            file.close()
            raise
        return file

    def with_head(self, fd: int) -> InputFile:
        return self._replace(head=self._head(fd))

    def verify(self, fd: int) -> bool:
        """Whether the open file is unchanged. Raises Changed if anything but data at its end was added."""
        now = os.fstat(fd)
        if (now.st_dev, now.st_ino) != (self.device, self.inode):
            raise Changed(f"{self.name} was replaced by another file during the run")
        if now.st_size < self.size:
            raise Changed(f"{self.name} became shorter during the run")
        if now.st_mtime_ns == self.changed or not self.size:
            return True
        if now.st_size == self.size or self.head not in (None, self._head(fd)):
            raise self.overwritten()
        return False

    def overwritten(self) -> Changed:
        return Changed(f"{self.name} was overwritten during the run")

    def _head(self, fd: int) -> int:
        # CRC-32 is enough beside size and time; hashlib would load all of OpenSSL.
        return crc32(os.pread(fd, min(SIGNED, self.size), 0))


# Where records end


class Overlong(NamedTuple):
    """Replaces a record that is too long.

    head: its first bytes. length: its size in bytes without the newline. span: its size with the newline.
    """

    head: bytes
    length: int
    span: int


Block: TypeAlias = bytes | Overlong
"""Complete records, or one that is too long."""


LONG = 4096
"""Characters from which on it is quicker to search for the end of each line than to split."""


def lines_of(text: AnyStr, newline: AnyStr) -> list[AnyStr]:
    """The lines of a text without their newlines. Behind the last newline there may be another line.

    `split` looks at each character. Long lines in front are found by `find`, which skips them.
    """
    lines: list[AnyStr] = []
    start, end = 0, text.find(newline)
    while end - start >= LONG:
        lines.append(text[start:end])
        start = end + 1
        end = text.find(newline, start)
    lines += (text[start:] if start else text).split(newline)
    if not lines[-1]:
        del lines[-1]
    return lines


class Lines:
    """The rule that a record is a line. `longest`, here and below: the limit of a record, in bytes."""

    by_line = True

    def records(self, block: bytes, longest: int) -> list[bytes]:
        """Split a block of complete records into records without their newlines."""
        return lines_of(block, b"\n")

    def last_end(self, data: bytes, longest: int) -> int:
        """The index after the last record end in data that begins with a record; 0 if there is none."""
        return data.rfind(b"\n") + 1

    def scan(self, data: bytes, state: int) -> tuple[int, int]:
        """The index after the first record end in the data, 0 if there is none; and the state when the scan stops."""
        return data.find(b"\n") + 1, PLAIN


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


# Splits


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
                data = read(self.file, file.fileno(), at, min(at + WHOLE, self.stop))
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
