"""The source `tail`: the lines of a file that grows.

    app.log.2   app.log.1   app.log          a file that was renamed is read to its end,
     (read)  ──▶  rest  ──▶  follow          then those that came after it, then the one with the name

A mark says which file was read, by its inode and a checksum of its beginning, and up to which byte.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any, Literal
from zlib import crc32

from stagerunner import Malformed, Mark, Origin, source
from stagerunner_parts.options import Duration
from stagerunner_parts.sources.texts import check_encoding, no_characters, plain

POLL = 0.1
"""Seconds between two looks whether the file has grown."""

CHUNK = 65536
"""Bytes that are read at once; a mark stands behind the last line of each."""

SETTLE = 0.5
"""Seconds that a renamed file must not have grown before it is left: its writer may not know the new one yet."""

PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of renamed files that were compressed since: they can't be read on."""

HEAD = 1024
"""Bytes at the start of a file whose checksum tells it from others."""


@source("tail")
class Tail:
    """Follow a file that grows, one record per line.

    A line is read once it is complete. A file that is renamed, as logs are when they rotate, is read to its end, then
    the new one of that name. A file that becomes shorter, or gets another beginning, is read from its start. The run
    ends with Ctrl-C, and `--resume` continues where it stopped.

    path: the file. It need not exist yet.
    begin: where to begin: start of the file, or its end, so that only new lines are read.
    until: end when the file has not grown for so long; without it, follow the file forever.
    encoding: the encoding of the text.
    """

    max_record = 16 * 2**20

    def __init__(
        self,
        *,
        path: Path,
        begin: Literal["start", "end"] = "start",
        until: Duration | None = None,
        encoding: str = "utf-8",
    ) -> None:
        self.path = path
        self.begin = begin
        self.until = until
        self.encoding = plain(encoding)

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the path can't be followed."""
        check_encoding(self.encoding)
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {self.path.parent}")
        if self.path.exists() and not self.path.is_file():
            raise ValueError(f"{self.path} isn't a file that can be followed; use `lines` to read a pipe")

    def identity(self) -> Any:
        return str(self.path.resolve())

    def locate(self, after: Any, number: int) -> Origin | None:
        """None if the record isn't in the file of the mark any more."""
        if after is None or (path := _found(self.path, after)) is None:
            return None
        with path.open("rb") as file:
            file.seek(after["offset"])
            before = list(islice(file, number + 1))
            return Origin(str(self.path), file.tell() - len(before[-1])) if len(before) > number else None

    def read(self, after: Any) -> Iterator[str | Malformed | Mark]:
        """Raises OSError if the file of the mark is gone, so that nothing is left out unnoticed."""
        offset = 0
        if after is None:
            if not self._comes():
                return
            path = self.path
            offset = _end_of_lines(path) if self.begin == "end" else 0
        else:
            path, offset = self._marked(after), after["offset"]
        while True:
            if path.is_dir():
                raise OSError(f"{path} is a folder now: what was to come in the file can't be read")
            with path.open("rb", buffering=0) as file:
                reader = _Reader(self, file, offset)
                yield reader.mark()
                later = yield from reader.follow(path)
            if later is None:
                return
            path, offset = later, 0

    def _comes(self) -> bool:
        """Wait until the file is there; False if that takes too long."""
        began = monotonic()
        while not self.path.exists():
            if self.until is not None and monotonic() - began >= self.until:
                return False
            sleep(POLL)
        return True

    def _marked(self, after: Any) -> Path:
        path = _found(self.path, after)
        if path is None:
            raise FileNotFoundError(
                f"the file that was read to byte {after['offset']} is neither {self.path} nor beside it under a name "
                "that begins so: what came since can't be found. Run without --resume to start anew"
            )
        return path

    def decoded(self, line: bytes) -> str | Malformed:
        """The record of a line without its newline."""
        if len(line) > self.max_record:
            return Malformed("TooLarge", f"the line is longer than max_record allows: {self.max_record:,} bytes")
        line = line.removesuffix(b"\r")
        return no_characters(line, self.encoding) or line.decode(self.encoding)


class _Reader:
    """Reads one file, which may grow and get another name."""

    def __init__(self, tail: Tail, file: IO[bytes], offset: int) -> None:
        self._tail = tail
        self._file = file
        self._offset = offset
        """Behind the last whole line."""
        self._rest = b""
        self._long = 0
        """Bytes of a line that is too long to be kept."""
        self._head = b""
        """The file's first bytes, as far as it was read."""
        file.seek(offset)
        self._note_head()

    def _note_head(self) -> None:
        size = min(HEAD, self._file.tell())
        if len(self._head) < size:
            self._head = os.pread(self._file.fileno(), size, 0)

    def mark(self) -> Mark:
        found, head = os.fstat(self._file.fileno()), self._head[: self._offset]
        return Mark({"file": [found.st_dev, found.st_ino], "head": [len(head), crc32(head)], "offset": self._offset})

    def follow(self, path: Path) -> Generator[Any, None, Path | None]:
        """The lines, until another file is to be read: its path; None if the source ends here."""
        quiet, moved = monotonic(), path != self._tail.path
        while True:
            data = self._file.read(CHUNK)
            if not moved and (changed := self._changed()):
                self._begin_anew(changed)
            elif data:
                self._note_head()
                yield from self._lines(data)
                quiet = monotonic()
            elif moved and monotonic() - quiet >= SETTLE:
                yield from self._last_line()
                return _next_to(self._tail.path, os.fstat(self._file.fileno()))
            elif moved or (moved := self._moved()):
                sleep(POLL)
            else:
                if self._tail.until is not None and monotonic() - quiet >= self._tail.until:
                    yield from self._last_line()
                    return None
                sleep(POLL if self._tail.until is None else min(POLL, self._tail.until))

    def _moved(self) -> bool:
        """Whether another file has the name."""
        try:
            return not os.path.samestat(self._tail.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False  # the next one is still to come

    def _changed(self) -> str:
        """How the file was written anew since it was read; "" if it wasn't.

        Between two looks it may have become as long as before, or longer: then its beginning tells.
        """
        fd = self._file.fileno()
        if os.fstat(fd).st_size < self._file.tell():
            return "became shorter"
        return "" if os.pread(fd, len(self._head), 0) == self._head else "was written anew"

    def _begin_anew(self, changed: str) -> None:
        print(f"{self._tail.path} {changed}: it is read from its start", file=sys.stderr)
        self._file.seek(0)
        self._offset, self._rest, self._long, self._head = 0, b"", 0, b""

    def _lines(self, data: bytes) -> Iterator[Any]:
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield self._record(line)
        self._rest = rest
        if len(rest) > self._tail.max_record:  # don't hold what is too long anyway
            self._long, self._rest = self._long + len(rest) - 1, rest[-1:]
        if lines:
            yield self.mark()

    def _record(self, line: bytes) -> str | Malformed:
        size, begun = len(line) + self._long + 1, self._offset
        self._offset, long, self._long = begun + size, self._long, 0
        if not begun and line.startswith(b"\xef\xbb\xbf"):
            line = line[3:]
        return self._tail.decoded(b" " * (self._tail.max_record + 1) if long else line)

    def _last_line(self) -> Iterator[Any]:
        """A line without a newline, which will not come any more."""
        if self._rest or self._long:
            yield self._record(self._rest)
            self._offset, self._rest = self._offset - 1, b""
            yield self.mark()


def _end_of_lines(path: Path) -> int:
    """Behind the last newline: a line that is half written belongs to what comes."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - CHUNK)
            file.seek(start)
            if (place := file.read(end - start).rfind(b"\n")) >= 0:
                return start + place + 1
            end = start
    return 0


def _siblings(path: Path) -> list[Path]:
    """The file, and those beside it that may have had its name: the oldest first."""
    named = (other for other in path.parent.iterdir() if other.name.startswith(f"{path.name}."))
    known = [other for other in named if other.is_file() and other.suffix not in PACKED]
    return [*sorted(known, key=lambda other: other.stat().st_mtime_ns), *([path] if path.exists() else [])]


def _found(path: Path, mark: Any) -> Path | None:
    """The file of a mark: the one with this beginning, if there are several the one with this inode."""
    size, head = mark["head"]
    alike = [
        other
        for other in _siblings(path)
        if other.stat().st_size >= mark["offset"] and crc32(_start(other, size)) == head
    ]
    inode = [other for other in alike if [other.stat().st_dev, other.stat().st_ino] == mark["file"]]
    return next(iter(inode or (alike if size else [])), None)


def _start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _next_to(path: Path, done: os.stat_result) -> Path:
    """The file that came after this one."""
    siblings = _siblings(path)
    places = [number for number, other in enumerate(siblings) if os.path.samestat(other.stat(), done)]
    return siblings[places[0] + 1] if places and places[0] + 1 < len(siblings) else path
