"""What the sinks that write files have in common.

The file is a `growing` one: a `replacing` one gets its name when the run is complete, an `appending` one has it
already. Its bytes may be compressed. The `place` puts what is made for an address there. A path may lead to a
stream instead (`descriptors`), or have fields (`partitions`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from stagerunner_parts.compression import Members, check_compression, compressor, opened
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.appending import Appending
from stagerunner_parts.sinks.descriptors import stream_at
from stagerunner_parts.sinks.growing import Growing
from stagerunner_parts.sinks.naming import has_field
from stagerunner_parts.sinks.places import place_of
from stagerunner_parts.sinks.replacing import Replacing
from stagerunner_parts.sinks.targets import check_target, resolved

Keeps: TypeAlias = Literal["truncate", "transaction", "nothing"]
Mode: TypeAlias = Literal["replace", "append", "new"]

STDOUT = Path("-")

CHUNK = 2**20
"""Bytes that are read at a time, of outputs to be joined."""


class FileOutput(ABC):
    """A sink that writes one file. For the path "-", the runner writes what `rendered` returns to standard output."""

    pure = True

    keeps: Keeps = "truncate"

    def __init__(self, path: Path | Address, mode: Mode, options: StorageOptions | None = None) -> None:
        self._place = place_of(path, options)
        self.path = self._place.path
        self.mode: Mode = mode
        self._members = Members(self.path)
        target = 1 if path == STDOUT else resolved(self.path)
        self._stream = stream_at(target)
        self.streams = self._stream is not None
        """Whether the runner itself writes what `rendered` returns, to the descriptor that `connect` returns."""
        self._growing = None if self.streams or isinstance(target, int) else self._new_growing(target)
        if self.streams:
            self.keeps = "nothing"
        if has_field(path.text if isinstance(path, Address) else str(path)):
            # Late: few paths have fields.
            from stagerunner_parts.sinks.folders import FolderElsewhere, FolderHere
            from stagerunner_parts.sinks.partitions import Partitions

            folder = FolderHere(path) if isinstance(path, Path) else FolderElsewhere(path, options)
            Partitions(self, folder).take_over()

    def _new_growing(self, real: Path) -> Growing:
        if self.mode == "append":
            return Appending(real, self.path, lines=not self._members.packs)
        return Replacing(real, self.path, self._refuse_existing)

    @property
    def stdout(self) -> bool:
        """Whether it goes to standard output."""
        return self._stream is not None and self._stream.stdout

    def connect(self) -> int | None:
        """The descriptor of a stream; None while a named pipe has no reader. Never waits."""
        return None if self._stream is None else self._stream.connect()

    @abstractmethod
    def encode(self, records: list[Any]) -> bytes:
        """In the last worker: make the data for `write`. Raises TypeError or ValueError for a record it can't write."""

    def rendered(self, data: bytes) -> bytes:
        """The bytes of the output for data from `encode`. Called in order."""
        return data

    # What a sink remembers of a file, where it writes many

    def remembered(self) -> Any:
        """What has to be known of the file to go on with it later."""
        return None

    def recall(self, known: Any) -> None:
        """Go on with another file. known: what was remembered of it; None for a new one."""

    def found_in(self, path: Path) -> Any:
        """What would be remembered of this file, which is not empty."""
        return None

    # In the plan

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the file can't be written."""
        if self._stream is not None:
            self._stream.check()
        if self._growing is not None:
            self._place.check(self.mode)
            check_compression(self.path)
            check_target(self.path, self._growing.real, in_place=self.mode == "append")

    def check_new(self) -> None:
        """Raises OSError, with a message, if no new output can begin here."""
        if not self.stdout:
            self._refuse_existing()

    def _refuse_existing(self) -> None:
        if self.mode == "new" and self.exists():
            raise FileExistsError(f"{self.describe()} already exists, and mode `new` overwrites nothing")

    # In the parent

    def left(self, position: Any) -> None:
        """Tell the sink the position of the unfinished run before this one.

        Called before `open(None)`, so that it discards the files of that run and no others, or before a `finish`
        without `open`.
        """
        if self._growing is not None:
            self._growing.known = position or {}

    def open(self, position: Any) -> None:
        """Begin a new output if `position` is None, else continue at it.

        Raises OSError, with a message, if the file doesn't hold what was written up to that position.
        """
        if self._growing is not None:
            self._growing.open(position)

    def write(self, data: bytes) -> None:
        """Raises OSError if the disk is full, ValueError if records don't fit together."""
        if output := self.rendered(data):
            self._written_to.write(self._members.packed(output) if self._members.packs else output)

    def position(self) -> Any:
        """As of the last commit: length in bytes, inode, and a checksum of the end."""
        return None if self._growing is None else self._growing.position()

    def commit(self, row: Any) -> None:
        """Raises OSError, with a message, if the file was removed or renamed."""
        if self._growing is None or not self._growing.is_open:
            return
        if rest := self._members.ended():
            self._growing.write(rest)
        self._growing.commit()

    def sync(self) -> None:
        """Make what was written, or the renaming, survive a power failure."""
        if self._growing is not None:
            self._growing.sync()

    def finish(self) -> None:
        """Give the file its final name, and put it in its place. May be called twice.

        Raises OSError if there is no file to rename, or if its place can't be reached.
        """
        if self._growing is None:
            self.abort()
        else:
            self._place.finish(self._complete, self._growing.real, under_way=self._growing.is_open)

    def _complete(self) -> None:
        growing = self._written_to
        try:
            if growing.is_open:
                self._end_well()
            growing.finish()
        finally:
            self.abort()  # only now: the file stays locked until it has its name

    def _end_well(self) -> None:
        """Write what still belongs into the file, and commit it."""
        if not self._written_to.length:
            # Programs that read compressed files take an empty one for damaged: write an empty member.
            self._written_to.write(self._members.packed(b""))
        self.commit(None)

    def abort(self) -> None:
        """Close, and keep the files that a resume needs."""
        if self._growing is not None:
            self._growing.abort()
        if self._stream is not None:
            self._stream.close()

    def discard(self) -> None:
        """This run can't be resumed: leave no files. Called before `abort`."""
        if self._growing is not None:
            self._growing.discard()

    # What others ask

    def exists(self) -> bool:
        """Whether the finished output is still there."""
        return self._growing is not None and self._place.exists(self._growing.real)

    def target(self) -> Path | None:
        """The file that this sink owns, with links resolved; None for a stream."""
        return None if self._growing is None else self._growing.real

    def describe(self) -> str:
        return "standard output" if self.path == STDOUT else str(self._place)

    def joined(self, parts: list[Path]) -> Iterator[bytes]:
        """The bytes of one output with the records of all these, in order. Each is a finished output of this sink."""
        pack, empty = compressor(self.path), True
        for part in parts:
            with opened(part) as file:
                passed = self._pass_head(file, empty)
                while data := passed or file.read(CHUNK):
                    passed, empty = b"", False
                    yield pack.compress(data) if pack else data
        if pack:
            yield pack.flush()

    def why_not_joined(self) -> str | None:
        """Why outputs of several runs can't be joined; None if they can."""
        return "the output is a stream" if self.streams else None

    def _pass_head(self, file: IO[bytes], first: bool) -> bytes:
        """Read what stands in front of the records; returns what belongs into the joined output."""
        return b""

    @property
    def _written_to(self) -> Growing:
        if self._growing is None:
            raise ValueError(f"the sink for {self.path} is not open")
        return self._growing
