"""What the sinks that write files have in common.

A file is written to PATH.partial and renamed when the run is complete. With mode `append` it is written in place, and
PATH.partial, the *spool*, holds a copy of what is not committed yet, so that a resume can tell those bytes from lines
that other programs have added. Compressed output is a sequence of members, each closed by a commit, so that it can be
truncated and continued at any commit. The runner itself writes to a named pipe, a terminal or a descriptor, as fast as
it is read. The output for a remote path is such a file too, kept with the user's state; it is put in its place when it
has its name, and removed.
"""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias
from zlib import crc32

from stagerunner_parts.compression import Compressor, check_compression, compressor, is_compressed, opened
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.locking import inode_of, is_at, lock, write_all
from stagerunner_parts.sinks.naming import has_field
from stagerunner_parts.sinks.permissions import copy_permissions
from stagerunner_parts.sinks.targets import check_descriptor, check_target, is_stream, resolved

if TYPE_CHECKING:
    from stagerunner_parts.remote.uploading import Destination

Keeps: TypeAlias = Literal["truncate", "transaction", "nothing"]
Mode: TypeAlias = Literal["replace", "append", "new"]

STDOUT = Path("-")
TAIL = 4096
"""A file is recognised by a checksum of so many bytes at the end of what is committed."""

CHUNK = 2**20
"""Bytes that are copied at a time."""

OURS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""How our own files are opened: never following a link, never waiting for a pipe."""

ODD = (errno.ELOOP, errno.EISDIR, errno.ENXIO)
"""The errors with which that fails for a link, a folder and a socket."""


class FileOutput(ABC):
    """A sink that writes one file. For the path "-", the runner writes what `rendered` returns to standard output."""

    pure = True

    keeps: Keeps = "truncate"
    _elsewhere: Destination | None = None
    _file: FileIO | None = None
    _spool: FileIO | None = None
    _old: FileIO | None = None
    _stream: int | None = None
    _member: Compressor | None = None
    _length = 0
    _gap = False
    _committed = True
    _known: dict[str, int] | None = None
    _position: dict[str, int] | None = None

    def __init__(self, path: Path | Address, mode: Mode, options: StorageOptions | None = None) -> None:
        self.path = self._local(path, options)
        self.mode: Mode = mode
        self._packs = is_compressed(self.path)
        self._resolved = 1 if path == STDOUT else resolved(self.path)
        self.streams = isinstance(self._resolved, int) or is_stream(self._resolved)
        """Whether the runner itself writes what `rendered` returns, to the descriptor that `connect` returns."""
        if self.streams:
            self.keeps = "nothing"
        if isinstance(path, Path) and has_field(str(path)):
            from stagerunner_parts.sinks.partitions import Partitions  # late: few paths have fields

            Partitions(self, path).take_over()

    def _local(self, path: Path | Address, options: StorageOptions | None) -> Path:
        """The local file that is written."""
        if isinstance(path, Path):
            return path
        # Only for remote paths, of which there are few.
        from stagerunner_parts.remote.spool import spool_of
        from stagerunner_parts.remote.uploading import Destination

        self._elsewhere = Destination(path, options)
        return spool_of(path)

    @property
    def stdout(self) -> bool:
        """Whether it goes to standard output."""
        return self._resolved == 1

    def connect(self) -> int | None:
        """The descriptor of a stream; None while a named pipe has no reader. Never waits."""
        if isinstance(self._resolved, int):
            return self._resolved
        if self._stream is None:
            try:
                self._stream = os.open(self._resolved, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
        return self._stream

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

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if the file can't be written."""
        if isinstance(self._resolved, int):
            if not self.stdout:
                check_descriptor(self._resolved)
        elif not self.streams:
            if self._elsewhere is not None:
                self._elsewhere.check(self.mode)
            check_compression(self.path)
            check_target(self.path, self._resolved, in_place=self._in_place)

    def check_new(self) -> None:
        """Raises OSError, with a message, if no new output can begin here."""
        if not self.stdout:
            self._refuse_existing()

    def left(self, position: Any) -> None:
        """Tell the sink the position of the unfinished run before this one.

        Called before `open(None)`, so that it discards the files of that run and no others, or before a `finish`
        without `open`.
        """
        self._known = position

    def open(self, position: Any) -> None:
        """Begin a new output if `position` is None, else continue at it.

        Raises OSError, with a message, if the file doesn't hold what was written up to that position.
        """
        if self.streams:
            return
        try:
            if not self._in_place:
                self._lock_old()
            if position is None:
                self._open_anew()
            else:
                self._open_again(position)
        except BaseException:
            self._close()
            raise
        self._length = os.fstat(self._opened.fileno()).st_size
        self._gap = self._in_place and not self._packs and self._ends_inside_a_line()
        self._position = self._whereabouts()

    def write(self, data: bytes) -> None:
        """Raises OSError if the disk is full, ValueError if records don't fit together."""
        if output := self.rendered(data):
            # If the existing file doesn't end with a newline, the first record still begins on a line of its own.
            self._put(b"\n" + output if self._gap else output)
            self._gap = False

    def position(self) -> Any:
        """As of the last commit: length in bytes, inode, and a checksum of the end."""
        return self._position

    def commit(self, row: Any) -> None:
        """Raises OSError, with a message, if the file was removed or renamed."""
        if self._member:
            self._put_plain(self._member.flush())
            self._member = None
        if self._file is None:
            return
        if not is_at(self._file, self._written):
            raise FileNotFoundError(f"{self._written} was removed or renamed while it was being written")
        if self._in_place:
            self._length = os.fstat(self._file.fileno()).st_size  # including what others have appended meanwhile
        self._committed = True
        self._position = self._whereabouts()

    def sync(self) -> None:
        """Make what was written, or the renaming, survive a power failure."""
        if self._file:
            os.fsync(self._file.fileno())
        elif not self.streams:
            folder = os.open(self._real.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def finish(self) -> None:
        """Give the file its final name, and put it in its place. May be called twice.

        Raises OSError if there is no file to rename, or if its place can't be reached.
        """
        if self._elsewhere is None:
            self._finish_here()
            return
        if self._file is not None or self._partial.exists() or self._real.exists():
            self._finish_here()
            self._elsewhere.move(self._real)
        elif not self._elsewhere.exists():
            raise FileNotFoundError(f"{self._partial} is gone, so it can't be put at {self.describe()}")

    def exists(self) -> bool:
        """Whether the finished output is still there."""
        return self._real.exists() if self._elsewhere is None else self._elsewhere.exists()

    def _finish_here(self) -> None:
        try:
            if self._file:
                self._end_well()
            if not (self.streams or self._in_place):
                self._name()
            elif self._in_place:
                self._remove("spool", self._spool)
        finally:
            self.abort()  # only now: the file stays locked until it has its name

    def abort(self) -> None:
        """Close, and keep the files that a resume needs."""
        if self._in_place and self._committed:
            self._remove("spool", self._spool)
        self._close()

    def _close(self) -> None:
        for file in (self._file, self._spool, self._old):
            if file is not None:
                file.close()
        self._file = self._spool = self._old = None
        if self._stream is not None:
            os.close(self._stream)
            self._stream = None

    def discard(self) -> None:
        """This run can't be resumed: leave no files. Called before `abort`."""
        if self._file is not None:
            self._remove("spool", self._spool) if self._in_place else self._remove("file", self._file)

    def joined(self, parts: list[Path]) -> Iterator[bytes]:
        """The bytes of one output with the records of all these, in order. Each is a finished output of this sink."""
        pack, empty = compressor(self.path), True
        for part in parts:
            with opened(part) as file:
                passed = self._pass_head(file, first=empty)
                while data := passed or file.read(CHUNK):
                    passed, empty = b"", False
                    yield pack.compress(data) if pack else data
        if pack:
            yield pack.flush()

    def why_not_joined(self) -> str | None:
        """Why outputs of several runs can't be joined; None if they can."""
        return "the output is a stream" if self.streams else None

    def _pass_head(self, file: IO[bytes], *, first: bool) -> bytes:
        """Read what stands in front of the records; returns what belongs into the joined output."""
        return b""

    def target(self) -> Path | None:
        """The file that this sink owns, with links resolved; None for a stream."""
        return None if self.streams else self._real

    def describe(self) -> str:
        if self._elsewhere is not None:
            return str(self._elsewhere.address)
        return "standard output" if self.path == STDOUT else str(self.path)

    @property
    def _real(self) -> Path:
        assert isinstance(self._resolved, Path)
        return self._resolved

    @property
    def _in_place(self) -> bool:
        return self.mode == "append" and not self.streams

    @property
    def _partial(self) -> Path:
        return self._real.with_name(f"{self._real.name}.partial")

    @property
    def _written(self) -> Path:
        return self._real if self._in_place else self._partial

    @property
    def _opened(self) -> FileIO:
        if self._file is None:
            raise ValueError(f"the sink for {self.path} is not open")
        return self._file

    def _refuse_existing(self) -> None:
        if self.mode == "new" and self.exists():
            raise FileExistsError(f"{self.describe()} already exists, and mode `new` overwrites nothing")

    # Opening

    def _lock_old(self) -> None:
        """Lock the file that will be replaced: another run may know it under another name."""
        with suppress(FileNotFoundError, PermissionError):
            self._old = FileIO(os.open(self._real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
            lock(self._old)

    def _open_anew(self) -> None:
        self._refuse_existing()
        self._real.parent.mkdir(parents=True, exist_ok=True)
        if self._in_place:
            self._file = lock(FileIO(os.open(self._real, OURS | os.O_CREAT, 0o666), "rb+"))
            self._spool = self._made_anew()
        else:
            self._file = self._made_anew()

    def _made_anew(self) -> FileIO:
        """Create PATH.partial, empty, and locked as long as it is open."""
        self._discard_left()
        # A file that replaces another must not be readable to more users than that; its mode is set at the end.
        private = self._in_place or self._real.exists()
        try:
            made = os.open(self._partial, OURS | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        except FileExistsError:
            raise BlockingIOError(f"{self._partial} has just been created by another process") from None
        return lock(FileIO(made, "rb+"))

    def _discard_left(self) -> None:
        """Remove PATH.partial if it is empty or the file that `left` named. Raises FileExistsError for any other."""
        try:
            file = FileIO(os.open(self._partial, OURS), "rb+")
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno in ODD:
                raise self._not_ours() from None
            raise
        with file:
            lock(file, self._partial)
            found = os.fstat(file.fileno())
            known = (self._known or {}).get("spool" if self._in_place else "file")
            alone = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
            if not alone or (found.st_size and found.st_ino != known):
                raise self._not_ours()
            self._partial.unlink()

    def _not_ours(self) -> FileExistsError:
        return FileExistsError(
            f"{self._partial} is in the way, and it isn't known to come from an unfinished run of this output; "
            "move it away, or remove it"
        )

    def _open_again(self, position: dict[str, int]) -> None:
        length = position["bytes"]
        self._file = self._found(self._written)
        found = os.fstat(self._file.fileno())
        if found.st_size < length:
            raise OSError(
                f"{self._written} has {found.st_size:,} bytes, but {length:,} were written to it; "
                "the run can't be resumed"
            )
        if found.st_ino != position["file"] or self._tail(length) != position["tail"]:
            raise OSError(
                f"{self._written} isn't what the run to be resumed has written: it was changed since; "
                "run without --resume to start anew"
            )
        if self._in_place:
            self._open_spool(length, position.get("spool"))
        self._file.truncate(length)

    def _open_spool(self, length: int, known: int | None) -> None:
        """Open PATH.partial. Raises OSError if other programs have added to the file after its first `length` bytes."""
        try:
            self._spool = self._found(self._partial)
        except FileNotFoundError:
            self._spool = None
        if self._spool is not None and (found := os.fstat(self._spool.fileno())).st_ino != known:
            if found.st_size:
                raise OSError(f"{self._partial} isn't what the run to be resumed has left")
            self._remove("spool", self._spool)  # made by a resume that was killed before its first commit
            self._spool.close()
            self._spool = None
        if not self._is_all_spooled(length):
            added = os.fstat(self._opened.fileno()).st_size - length
            raise OSError(
                f"another program has added to {self.path}: {added:,} bytes after what the run had committed; "
                "remove them to resume, or run without --resume to append everything anew"
            )
        if self._spool is None:
            self._spool = self._made_anew()

    def _is_all_spooled(self, at: int) -> bool:
        """Whether everything in the file after `at` is the beginning of the spool."""
        behind = 0
        while data := os.pread(self._opened.fileno(), 2**20, at + behind):
            if self._spool is None or os.pread(self._spool.fileno(), len(data), behind) != data:
                return False
            behind += len(data)
        return True

    def _found(self, path: Path) -> FileIO:
        """Open a file to continue it. Raises FileNotFoundError, or BlockingIOError while another run has it open."""
        try:
            return lock(FileIO(os.open(path, OURS), "rb+"), path)
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is gone, so the run can't be resumed") from None
        except OSError as error:
            if error.errno in ODD:
                raise OSError(f"{path} is no longer a file, so the run can't be resumed") from None
            raise

    # The end

    def _name(self) -> None:
        """Rename PATH.partial to PATH, with the mode and owner that PATH has."""
        here, there = inode_of(self._partial), inode_of(self._real)
        inode = os.fstat(self._file.fileno()).st_ino if self._file else (self._known or {}).get("file", here or there)
        if here and here == inode:
            self._refuse_existing()
            self._make_like_the_old()
            self._partial.replace(self._real)
        elif not there or there != inode:
            raise FileNotFoundError(f"{self._partial} is gone, so it can't be renamed to {self.path}")

    def _make_like_the_old(self) -> None:
        file = os.open(self._partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with suppress(FileNotFoundError):
                copy_permissions(file, self._real)
        finally:
            os.close(file)

    def _remove(self, name: str, file: FileIO | None) -> None:
        """Remove PATH.partial if it is this file, or the one that `left` named."""
        inode = os.fstat(file.fileno()).st_ino if file else (self._known or {}).get(name)
        if inode is not None and inode_of(self._partial) == inode:
            self._partial.unlink()

    def _end_well(self) -> None:
        if not self._length:
            # Programs that read compressed files take an empty one for damaged: write an empty member.
            self._put(b"")
        self.commit(None)

    # Bytes

    def _ends_inside_a_line(self) -> bool:
        return self._length > 0 and os.pread(self._opened.fileno(), 1, self._length - 1) != b"\n"

    def _tail(self, length: int) -> int:
        size = min(TAIL, length)
        return crc32(os.pread(self._opened.fileno(), size, length - size))

    def _whereabouts(self) -> dict[str, int]:
        length = self._length
        found = {"bytes": length, "file": os.fstat(self._opened.fileno()).st_ino, "tail": self._tail(length)}
        return found if self._spool is None else found | {"spool": os.fstat(self._spool.fileno()).st_ino}

    def _put(self, data: bytes) -> None:
        if self._packs and self._member is None:
            self._member = compressor(self.path)
        self._put_plain(self._member.compress(data) if self._member else data)

    def _put_plain(self, data: bytes) -> None:
        if self._spool is not None:
            if self._committed:
                self._spool.truncate(0)
            write_all(self._spool, data)
        self._committed = False
        written = self._opened.write(data)
        if written != len(data):  # rare: a signal came, or the disk is nearly full
            write_all(self._opened, data[written or 0 :])
        self._length += len(data)
