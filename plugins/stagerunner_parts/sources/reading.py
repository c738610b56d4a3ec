"""What the sources that read files of records have in common.

In the parent, a plain file is cut into byte ranges at record ends. A compressed file can't be read from the middle, and
a pipe can be read only once, so their splits hold the bytes themselves. In the worker, a split is read block by block;
a block is decoded at once, or record by record if that fails. The parent never waits: while it searches for a record
end, it yields an empty split now and then. A remote file is read in threads of the parent, and its splits hold the
bytes too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from io import BufferedReader, RawIOBase
from itertools import chain
from typing import IO, TYPE_CHECKING, Any, Protocol

from stagerunner import Malformed, Origin, Split, Want
from stagerunner_parts.compression import check_compression, is_compressed, opened
from stagerunner_parts.remote.address import StorageOptions
from stagerunner_parts.sources.inputs import AnyFile, Paths, Unsplittable, find_all, remaining, unsplittable
from stagerunner_parts.sources.line_ends import FAR, NOT_YET, LineEnds
from stagerunner_parts.sources.locations import LineNumbers, Offsets
from stagerunner_parts.sources.pieces import (
    CHUNK,
    HEAD,
    LINES,
    AnyCutter,
    Block,
    Cutter,
    Head,
    InputFile,
    Lines,
    Overlong,
    Piece,
    Splitter,
    TakeHead,
    read,
)

if TYPE_CHECKING:
    from stagerunner_parts.remote.files import RemoteFile

BOM = b"\xef\xbb\xbf"


class AnySplitter(Protocol):
    """What makes splits of bytes as they arrive."""

    def feed(self, data: bytes) -> list[Split]: ...
    def finish(self) -> list[Split]: ...


class RecordFiles(ABC):
    """A source of records that end at a newline. The runner sets `max_record`, the limit of a record in bytes."""

    path: Paths
    options: StorageOptions | None = None
    max_record: int = 16 * 2**20
    pure = True
    _asked: tuple[tuple[str, int, int], Offsets] | None = None
    """The split for which `locate` was last called."""

    @cached_property
    def _unsplittable(self) -> Unsplittable | None:
        return unsplittable(self.path)

    @property
    def stdin(self) -> bool:
        """Whether it reads standard input."""
        return self._unsplittable is not None and self._unsplittable.fd == 0

    @property
    def stream(self) -> bool:
        """Whether the runner reads the bytes and passes them to `feed` as they arrive."""
        return self._unsplittable is not None

    def open_stream(self) -> int:
        """A new descriptor to read them from, or 0 for standard input. Raises OSError."""
        assert self._unsplittable is not None
        return self._unsplittable.opened()

    @cached_property
    def _lines(self) -> LineNumbers:
        return LineNumbers()

    @cached_property
    def _files(self) -> list[AnyFile]:
        return [] if self.stream else find_all(self.path, self.options)

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if there is nothing to read."""
        if self._unsplittable is not None:
            self._unsplittable.check()
            if is_compressed(self._unsplittable.name):
                name = self._unsplittable.name
                raise ValueError(f"{name} is a stream; decompress it first: zcat … | … -i -")
        for file in self._files:
            check_compression(file.suffixed)

    def identity(self) -> Any:
        return [file.identity() for file in self._files]

    def size(self) -> int | None:
        """The size of all files in bytes; None if it isn't known before reading."""
        sizes = [None if is_compressed(file.suffixed) else file.size for file in self._files]
        return None if self.stream or None in sizes else sum(size or 0 for size in sizes)

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: [file, offset]. Raises OSError if a file is gone, damaged or changed."""
        if self.stream:
            raise ValueError("an input that can be read only once has no splits; pass its bytes to `feed`")
        yield from self._splits(after, want)

    def _splits(self, after: Any, want: Want) -> Iterator[Split]:
        for found, start in remaining(self._files, after):
            if isinstance(found, InputFile):
                yield from self._of_file(found, start, want)
            else:
                yield from self.by_number(self._pumped(found, start, _lines_before(after, start), want), want)

    def by_number(self, found: Iterator[Split], want: Want) -> Iterator[Split]:
        """Splits, recut where it is wanted to exactly so many records. The last of a file, and one before a
        record that is too long, may have fewer."""
        held: Piece | None = None
        offsets: list[int] = []
        for split in found:
            if held is None and not want.exact:
                yield split
                continue
            piece = Piece(*split.data)
            if held is not None and split.most and not held.goes_on(piece):
                yield _whole(held, len(offsets))
                held, offsets = None, []
            if not split.most or isinstance(piece.content, Overlong):
                yield split
                continue
            offsets += self._offsets(piece)
            held = piece if held is None else held.with_more(piece)
            while len(offsets) > want.records:
                number = want.records
                yield _whole(held.to(offsets[number]), number)
                held, offsets = held.since(offsets[number]), offsets[number:]
            if not want.exact:
                yield _whole(held, len(offsets))
                held, offsets = None, []
        if held is not None:
            yield _whole(held, len(offsets))

    def _of_file(self, found: InputFile, start: int, want: Want) -> Iterator[Split]:
        head, body = self._head_of(found)
        with found.opened() as raw:
            file = found.with_head(raw.fileno())
            start = max(start, body)
            if is_compressed(file.name):
                yield from self.by_number(self._fed(file, raw, start, want, head), want)
            elif self.rule(head).by_line:
                yield from self._cut(LineEnds(file, raw.fileno()), start, want, head)
            else:
                yield from self.by_number(self._counted(file, raw.fileno(), start, want, head), want)

    def _cut(self, ends: LineEnds, start: int, want: Want, head: Head) -> Iterator[Split]:
        """Cut a file of lines: only the bytes around each cut are read, unless records have to be counted."""
        while start < ends.file.size:
            if want.exact:
                start = yield from self._numbered(ends, start, want, head)
                continue
            goal = min(start + size_of(want) - 1, ends.file.size)
            stop = yield from ends.after(goal)
            yield from self._ranges(ends, start, goal, stop, head)
            start = stop

    def _numbered(self, ends: LineEnds, start: int, want: Want, head: Head) -> Generator[Split, None, int]:
        """A split of as many records as are wanted, or of those before a line that is too long, or of such a line.
        Returns where it ends."""
        file, last, number = ends.file, start, 0
        while number < want.records and last < file.size:
            end = yield from ends.after(last)
            if end - last > self.max_record and end - last - ends.closed(end) > self.max_record:
                if number:
                    break
                yield from self._ranges(ends, start, last, end, head)
                return end
            line = ends.line(last, end)
            number += line is None or self.counts(line if last else line.removeprefix(BOM))
            last = end
        yield _whole(Piece(file.name, start, last, None, head, file), number)
        return last

    def _ranges(self, ends: LineEnds, start: int, goal: int, stop: int, head: Head) -> Iterator[Split]:
        """One split of these bytes, or two if the line at `goal` is too long."""
        file, fd, last = ends.file, ends.fd, start
        if stop - start > self.max_record and goal > start:
            last += read(file, fd, start, goal).rfind(b"\n") + 1
        ended = ends.closed(stop)
        if stop - last - ended <= self.max_record:
            last = stop
        if start < last:
            yield Split(Piece(file.name, start, last, None, head, file), last - start, [file.name, last], last - start)
        if last < stop:
            line = Overlong(read(file, fd, last, min(last + HEAD, stop - ended)), stop - last - ended, stop - last)
            yield Split(Piece(file.name, last, stop, line, head, file), stop - last, [file.name, stop], 1)

    def _counted(self, file: InputFile, fd: int, start: int, want: Want, head: Head) -> Iterator[Split]:
        """Cut a file of rows: everything is read, since any newline may be inside quotes."""
        splitter = Splitter(file.name, self._cutter(head), at=start, resumable=True, head=head, file=file)

        def chunks() -> Iterator[bytes]:
            at = start
            while at < file.size:
                data = read(file, fd, at, min(at + size_of(want), file.size))
                at += len(data)
                yield data

        yield from splits_of(splitter, chunks())

    def _fed(self, file: InputFile, raw: IO[bytes], start: int, want: Want, head: Head) -> Iterator[Split]:
        splitter = Splitter(file.name, self._cutter(head), at=start, resumable=True, head=head)
        with opened(file.name, raw=_bounded(raw, file.size)) as stream:
            left = start
            while left and (data := stream.read(min(left, CHUNK))):
                left -= len(data)
                yield NOT_YET
            yield from splits_of(splitter, iter(lambda: stream.read(size_of(want)), b""))

    def _pumped(self, file: RemoteFile, start: int, lines: int | None, want: Want) -> Iterator[Split]:
        head, at = self._head_of(file) if start else (self._known_head(file), 0)
        take_head = None if start else self._take_head(head)
        at = max(start, at)
        splitter = Splitter(
            file.name, self._cutter(head), at=at, resumable=True, head=head, take_head=take_head, lines=lines
        )
        yield from splits_of(splitter, pumped(file, at, want))

    @cached_property
    def _stream_splitter(self) -> AnySplitter:
        assert self._unsplittable is not None
        head = self._known_head(self._unsplittable)
        return Splitter(self._unsplittable.name, self._cutter(head), head=head, take_head=self._take_head(head))

    def feed(self, data: bytes) -> list[Split]:
        """Add bytes of a stream; returns the splits that they complete."""
        return self._stream_splitter.feed(data)

    def feed_end(self) -> list[Split]:
        """The splits of the rest, at the end of the stream."""
        return self._stream_splitter.finish()

    def read(self, split: Split) -> Iterator[Any]:
        """Exactly one item for each record of the split, in order: the record, or Malformed."""
        piece = Piece(*split.data)
        # No generator of our own around the records: it would cost 60 ns for each.
        return chain.from_iterable(self._items(block, offset, piece.head) for offset, block in self._blocks(piece))

    def locate(self, split: Split, number: int) -> Origin:
        """Where record `number` of the split begins; the split is read again to find out."""
        piece = Piece(*split.data)
        if self._asked is None or self._asked[0] != piece[:3]:
            self._asked = (piece[:3], Offsets(self._starts(piece)))
        offset = self._asked[1][number]
        return Origin(piece.name, offset, line=None if offset is None else self._line_at(piece, offset))

    def _line_at(self, piece: Piece, offset: int) -> int | None:
        """The number of the line at this offset. In a remote file lines are counted as they come by."""
        if piece.file is not None:
            return self._lines.at(piece.name, offset)
        before = piece.lines_before(offset)
        return None if before is None else before + 1

    def _blocks(self, piece: Piece) -> Iterator[tuple[int, Block]]:
        return piece.blocks(self._cutter(piece.head))

    def _items(self, block: Block, offset: int, head: Head) -> Iterable[Any]:
        if isinstance(block, Overlong):
            return [self._too_long(block.head, block.length)]
        body = block if offset else block.removeprefix(BOM)
        if len(block) <= self.max_record or self._fits(block, head):
            try:
                return self.decode(body, head)
            except self.faults:
                pass
        return self._one_by_one(block, offset, head)

    def _fits(self, block: bytes, head: Head) -> bool:
        """Whether no record is too long, so that the block, which is longer, can be decoded at once."""
        return max(map(len, block.split(b"\n"))) <= self.max_record

    def rule(self, head: Head) -> Lines:
        """Where records end in a file with this head."""
        return LINES

    def _records(self, block: bytes, head: Head) -> list[bytes]:
        return self.rule(head).records(block, self.max_record)

    def _one_by_one(self, block: bytes, offset: int, head: Head) -> Iterator[Any]:
        for raw in self._records(block, head):
            if len(raw) > self.max_record:
                yield self._too_long(raw[:HEAD], len(raw))
            elif self.counts(record := raw if offset else raw.removeprefix(BOM)):
                yield self.decode_one(record, head)
            offset += len(raw) + 1

    def _offsets(self, piece: Piece) -> Iterator[int]:
        for offset, block in self._blocks(piece):
            if isinstance(block, Overlong):
                yield offset
                continue
            at = offset
            for raw in self._records(block, piece.head):
                if len(raw) > self.max_record or self.counts(raw if at else raw.removeprefix(BOM)):
                    yield at
                at += len(raw) + 1

    def _starts(self, piece: Piece) -> Iterator[int]:
        """Where each record begins, for messages."""
        return self._offsets(piece)

    def _too_long(self, head: bytes, length: int) -> Malformed:
        text = f"the record has {length:,} bytes, but max_record allows {self.max_record:,}"
        return Malformed("TooLarge", text, head)

    def _cutter(self, head: Head) -> AnyCutter:
        return Cutter(self.max_record, self.rule(head))

    def _known_head(self, file: AnyFile | Unsplittable) -> Head:
        """What is known of the head before the first record is read."""
        return None

    def _take_head(self, known: Head) -> TakeHead | None:
        """What takes the rest of the head from the first records; None if it is known."""
        return None

    def _head_of(self, file: AnyFile) -> tuple[Head, int]:
        """The head of a file and the offset after it. Raises ValueError if it is too long."""
        known, at = self._known_head(file), 0
        take = self._take_head(known)
        if take is None:
            return known, 0
        with bytes_of(file) as stream:
            for block in _beginning(stream, self._cutter(known), self.max_record):
                head, used = take(block)
                at += used
                if head is not None:
                    return head, at
        return known, at

    faults: tuple[type[Exception], ...] = (ValueError,)
    """What `decode` raises if a record of the block can't be decoded."""

    @abstractmethod
    def decode(self, block: bytes, head: Head) -> list[Any]:
        """Decode all records of a block. Raises one of `faults`."""

    @abstractmethod
    def decode_one(self, raw: bytes, head: Head) -> Any:
        """Decode one record from its bytes without the newline; Malformed if that fails."""

    def counts(self, raw: bytes) -> bool:
        """Whether these bytes are a record, and not an empty line to be ignored."""
        return True


@contextmanager
def bytes_of(file: AnyFile) -> Iterator[IO[bytes]]:
    """Its bytes, decompressed."""
    if not isinstance(file, InputFile):
        yield file.opened()
        return
    with file.opened() as raw, opened(file.name, raw=_bounded(raw, file.size)) as stream:
        yield stream


def _lines_before(after: Any, start: int) -> int | None:
    """How many lines stand before a position; None if it doesn't say."""
    return 0 if not start else after[2] if len(after) > 2 else None


def _whole(piece: Piece, records: int) -> Split:
    """A split of a piece with so many records. With none, `most` is 1 all the same: 0 would mean "not yet"."""
    return Split(piece, piece.stop - piece.start, piece.end, max(1, records))


def size_of(want: Want) -> int:
    return max(1, min(want.size, CHUNK))


def pumped(file: RemoteFile, start: int, want: Want) -> Iterator[bytes | None]:
    """The bytes of a remote file from this offset on, as many at a time as are wanted; None while they aren't here."""
    pump = file.pump(start)
    try:
        while (data := pump.next()) != b"":
            at = 0
            while data is not None and at < len(data):
                size = size_of(want)
                yield data[at : at + size]
                at += size
            if data is None:
                yield None
    finally:
        pump.close()


def splits_of(splitter: AnySplitter, chunks: Iterator[bytes | None]) -> Iterator[Split]:
    """The splits of these bytes; an empty one after each FAR bytes without a record end, and for each None."""
    looked = 0
    for data in chunks:
        if data is None:
            yield NOT_YET
            continue
        found = splitter.feed(data)
        yield from found
        looked = 0 if found else looked + len(data)
        if looked >= FAR:
            looked = 0
            yield NOT_YET
    yield from splitter.finish()


def _beginning(stream: IO[bytes], cutter: AnyCutter, longest: int) -> Iterator[Block]:
    """The blocks at the beginning of a file. Stops if the first record is too long."""
    held = 0
    while data := stream.read(CHUNK):
        blocks = cutter.feed(data)
        yield from blocks
        held = 0 if blocks else held + len(data)
        if held > longest:
            yield Overlong(b"", held, held)
    yield from cutter.finish()


class _Bounded(RawIOBase):
    """A file up to the end it had when it was found, in case it grows."""

    def __init__(self, raw: IO[bytes], size: int) -> None:
        self._raw, self._left = raw, size

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        data = self._raw.read(min(len(into), self._left))
        into[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _bounded(raw: IO[bytes], size: int) -> IO[bytes]:
    return BufferedReader(_Bounded(raw, size))
