"""Where the sinks of columns write: parts, first into the folder PATH.partial, and moved when the run is complete.

What comes goes into a *spool* at once: one Arrow stream for each frame, one behind the other. A spool can be cut back
to any commit, which a Parquet file can't. As soon as a row group is in the spool, a thread writes it into the part
(`encoding`). A resume cuts the spool back and writes the part anew from it. Parts end after a number of rows, or at the
end of a row group, never where a frame happens to end: so they are the same in every run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from stagerunner_parts.columnar.encoding import Encoding, Part, PartWriter
from stagerunner_parts.columnar.streams import Piece, read_stream, stream_of, streams
from stagerunner_parts.sinks.own_folder import OwnFolder
from stagerunner_parts.sinks.owned import partial_of

Mode = Literal["replace", "append", "new"]

Opener: TypeAlias = Callable[[Path, pa.Schema], PartWriter]
"""Opens the writer of a part, at a path, for a schema."""

MOVED = "moved"
"""The file in PATH.partial that says that all parts have been moved."""


class Parts:
    """The parts of one output, and their spool.

    real: the path of the output. suffix: of the parts in a folder; None if the output is one file. group: rows of a row
    group. rows, size: of a part, at most, or None. adds: parts that are there stay, and ours are counted from them on.
    """

    def __init__(
        self,
        real: Path,
        suffix: str | None,
        *,
        group: int,
        rows: int | None,
        size: int | None,
        writer: Opener,
        adds: bool = False,
    ) -> None:
        self._real = real
        self._suffix = suffix
        self._group, self._rows, self._size = group, rows, size
        self._open_writer = writer
        self._adds = adds
        self._first = 0
        """The number that the first part gets in the folder."""
        self.partial = partial_of(real)
        self.folder = OwnFolder(self.partial)
        self.schema: pa.Schema | None = None
        self.part = 0
        self._spool: Any = None
        self._length = 0
        self._kept = 0
        """The first part whose spool is still there."""
        self._pieces: list[Piece] = []
        """Those of the row group that isn't full yet."""
        self._in_group = self._in_part = 0
        """Rows of the row group, and of the whole part."""
        self._encoding = Encoding()
        self._begun: Part | None = None
        """The part of the spool, once it is begun."""
        self._making: list[Part] = []
        """The parts that are asked for and may not be whole yet."""
        self._ended = self._unsynced = False
        """Whether a part has ended since the last position, and since the last `sync`."""

    # Opening and closing

    def begin(self, known: int | None, first: int = 0) -> None:
        """Begin anew. known, and what it raises: see `OwnFolder`. first: the number of the first part."""
        self.folder.begin(known, lambda path: path.name == "spool-00000" and not path.stat().st_size)
        self._first = first
        self._open_spool()

    def begin_again(self, position: dict[str, int]) -> None:
        """Go on at a position. Raises OSError, with a message, if the folder isn't what the run has left."""
        self.folder.go_on(position["folder"])
        self.part = self._kept = position["part"]
        self._first = position.get("first", 0)
        for path in self._files():
            if number_of(path) >= self.part and path != self._spool_path:
                path.unlink()
        self._open_spool()
        there = os.fstat(self._spool.fileno()).st_size
        if there < position["bytes"]:
            raise OSError(f"{self._spool_path} has {there:,} bytes, but {position['bytes']:,} were written to it")
        self._spool.truncate(position["bytes"])
        self._length = position["bytes"]
        self._write_again()

    def _write_again(self) -> None:
        """Write the row groups that are in the spool."""
        if not self._length:
            return
        for piece, schema in list(streams(self._spool_path)):
            self.schema = self.schema or schema
            self._pieces.append(piece)
            self._counted(piece.rows)

    def where(self) -> dict[str, int]:
        """What `begin_again` needs. Parts that have ended are whole then."""
        if self._ended:
            self._encoding.wait()
            self._ended = False
        position = {"part": self.part, "bytes": self._length, "folder": self.folder.inode}
        return {**position, "first": self._first} if self._first else position

    def forget(self, before: int) -> None:
        """No resume goes back behind the beginning of this part: remove the spools of those before."""
        for part in range(self._kept, before):
            (self.partial / f"spool-{part:05}").unlink(missing_ok=True)
        self._kept = max(self._kept, before)

    def close(self) -> None:
        """Close everything, and keep what a resume needs."""
        self._encoding.close()
        for part in self._making:
            part.close()
        self._making, self._begun = [], None
        if self._spool is not None:
            self._spool.close()
            self._spool = None
        self.folder.close()

    def sync(self) -> None:
        """Make what was written survive a power failure."""
        if self._spool is not None and not self._unsynced:
            os.fsync(self._spool.fileno())
        else:
            os.sync()
            self._unsynced = False

    def _files(self) -> list[Path]:
        return sorted(self.partial.iterdir())

    # The spool

    @property
    def _spool_path(self) -> Path:
        return self.partial / f"spool-{self.part:05}"

    def _open_spool(self) -> None:
        self._spool = open(self._spool_path, "ab", buffering=0)  # noqa: SIM115  closed by `close`
        self._length, self._pieces, self._in_group, self._in_part = 0, [], 0, 0

    def write(self, data: Any, rows: int) -> None:
        """Add an Arrow stream with so many rows."""
        batch = None
        while rows:
            room = self._group - self._in_group
            if self._rows is not None:
                room = min(room, self._rows - self._in_part)
            if rows <= room and batch is None:
                self._spooled(data, rows)
                return
            if batch is None:
                batch = read_stream(data)
            head, batch = batch.slice(0, room), batch.slice(room)
            self._spooled(stream_of(head), head.num_rows)
            rows = batch.num_rows

    def _spooled(self, data: Any, rows: int) -> None:
        left = memoryview(data).cast("B")
        self._pieces.append(Piece(self._length, len(left), rows))
        self._length += len(left)
        while left:
            left = left[self._spool.write(left) :]
        self._counted(rows)

    def _counted(self, rows: int) -> None:
        self._in_group += rows
        self._in_part += rows
        full = self._in_part == self._rows
        if self._in_group == self._group or full:
            self._end_group()
            if full or self._is_large():
                self._end_part()
                self._spool.close()
                self.part += 1
                self._open_spool()

    # Parts

    def _end_group(self) -> None:
        """Have the row group written."""
        if self._pieces:
            self._encoding.ask(partial(self._made.group, self._pieces, self.schema))
            self._pieces, self._in_group = [], 0

    def _is_large(self) -> bool:
        """Whether the part has all the bytes that it may have. Then it must be known before the next row comes."""
        if self._size is None:
            return False
        self._encoding.wait()
        return self._made.size >= self._size

    @property
    def _made(self) -> Part:
        """The part of the spool."""
        if self._begun is None:
            schema, opened = self.schema, self._open_writer
            made = Part(self._spool_path, self._growing, self._part(self.part), lambda path: opened(path, schema))
            self._making = [*(part for part in self._making if not part.whole), made]
            self._begun = made
        return self._begun

    @property
    def _growing(self) -> Path:
        return self.partial / f"growing-{self.part:05}"

    def _part(self, number: int) -> Path:
        return self.partial / f"part-{number:05}{self._suffix or ''}"

    def _end_part(self) -> None:
        self._end_group()
        self._encoding.ask(self._made.complete)
        self._begun = None
        self._ended = self._unsynced = True

    def complete(self) -> None:
        """Write the last part, and move all of them. May be called twice, also after a kill, with `begin_again`."""
        if self._spool is not None:
            if self._in_part or (not self.part and (self._suffix is None or self.schema is not None)):
                self.schema = self.schema or pa.schema([])
                self._end_part()
                self.part += 1
            self._encoding.wait()
            self._spool.close()
            self._spool = None
        if not (self.partial / MOVED).exists() and any(self._files()):
            self._move()
            (self.partial / MOVED).touch()
        for path in self._files():
            if path.name != MOVED:
                path.unlink()
        (self.partial / MOVED).unlink(missing_ok=True)
        self.partial.rmdir()

    def _move(self) -> None:
        if self._suffix is None:
            if self._part(0).exists():
                self._part(0).replace(self._real)
            return
        self._real.mkdir(parents=True, exist_ok=True)
        for number in range(self.part):
            if self._part(number).exists():
                self._part(number).replace(self._real / self._part(self._first + number).name)
        for path in () if self._adds else list(old_parts(self._real, self._suffix)):
            if number_of(path) >= self.part:
                path.unlink()


def old_parts(folder: Path, suffix: str) -> Iterator[Path]:
    """The files in a folder that are named as parts."""
    return (folder / name for name in parts_among(sorted(path.name for path in folder.iterdir()), suffix))


def parts_among(names: Iterable[str], suffix: str) -> Iterator[str]:
    """Those of the names that are of parts."""
    return (name for name in names if re.fullmatch(r"part-\d{5,}" + re.escape(suffix), name))


def number_of(path: Path) -> int:
    """The number in the name of a part, or of what it is made from; -1 if it has none."""
    found = re.match(r"(?:part|spool|growing)-(\d+)", path.name)
    return int(found[1]) if found else -1
