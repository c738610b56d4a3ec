"""Remote files as they were found, and their bytes, in order, from any offset."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, RawIOBase
from typing import Any, NamedTuple

from stagerunner_parts.compression import is_compressed, opened
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.remote.calls import Call, Pump
from stagerunner_parts.remote.store import Refused, Store
from stagerunner_parts.remote.web import NoRangesError, part, whole_size

BLOCK = 2 * 2**20
"""Bytes of one request."""

AHEAD = 4
"""Requests under way at once."""

CHUNK = 262144
"""Bytes that are handed on at a time."""

TAGS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5", "Last-Modified", "LastModified", "mtime")
"""Under which names file systems say what differs if a file has changed, the best first."""


class RemoteFile(NamedTuple):
    """A remote file as it was found.

    name: its address, without secrets. size: None if the server doesn't say. tag: differs if the file has changed.
    suffixed: a name that ends as the file does. ranges: whether the server may give any part of it.
    """

    name: str
    size: int | None
    tag: str
    suffixed: str
    ranges: bool
    store: Store

    def identity(self) -> dict[str, Any]:
        """JSON data that differs if the file has changed."""
        return {"path": self.name, "size": self.size, "tag": self.tag}

    @property
    def compressed(self) -> bool:
        return is_compressed(self.suffixed)

    def stream(self, start: int = 0) -> Iterator[bytes]:
        """Its bytes, decompressed, from this offset on. Blocks."""
        if not self.compressed:
            yield from self._raw(start)
            return
        with opened(self.name, named=self.suffixed, raw=BufferedReader(_Joined(self._raw(0)))) as file:
            while start and (data := file.read(min(start, CHUNK))):
                start -= len(data)
            while data := file.read(CHUNK):
                yield data

    def pump(self, start: int) -> Pump:
        """The same in a thread."""
        return Pump(self.stream(start))

    def opened(self) -> BufferedReader:
        """Its bytes, decompressed, as a file to read from. Blocks."""
        return BufferedReader(_Joined(self.stream()))

    def seekable(self) -> BufferedReader:
        """Its bytes as they are, as a file to read from anywhere. Blocks. Raises ValueError if the server gives no
        parts."""
        if self.size is None or not self.ranges:
            raise ValueError(f"{self.name} can't be read in parts: the server doesn't give any; download it first")
        return BufferedReader(_Anywhere(self, self.size), BLOCK)

    def parts(self, ranges: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """The bytes of each range, as they are. Blocks. Raises Refused if the server gives no parts."""
        try:
            yield from self._parts(ranges)
        except NoRangesError:
            raise Refused(f"{self.name} can't be read in parts: the server gives none; download it first") from None

    def verify(self, system: Any) -> None:
        """Raises Refused if the file has changed since it was found."""
        now = _found(self.store, system.info(self.store.path()))
        if now.identity() != self.identity():
            raise Refused(f"{self.name} has changed since the run began")

    # Bytes

    def _raw(self, start: int) -> Iterator[bytes]:
        at = start
        if self.ranges and self.size is not None:
            try:
                for data in self._blocks(start):
                    at += len(data)
                    yield from _chunks(data)
                return
            except NoRangesError:
                pass  # from here on as a stream
        yield from self._streamed(at)

    def _blocks(self, start: int) -> Iterator[bytes]:
        assert self.size is not None
        starts = range(start, self.size, BLOCK)
        return self._parts((at, min(at + BLOCK, self.size)) for at in starts)

    def _parts(self, ranges: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        left = iter(ranges)
        under_way: deque[tuple[Callable[[Any], bytes], Call[bytes]]] = deque()
        while True:
            while len(under_way) < AHEAD and (found := next(left, None)) is not None:
                wanted = partial(self._range, *found)
                under_way.append((wanted, self.store.begin(wanted)))
            if not under_way:
                return
            yield self.store.patiently(*under_way.popleft())

    def _range(self, start: int, stop: int, system: Any) -> bytes:
        if self.store.address.is_web:
            data, headers = part(system, self.store.path(), start, stop)
            unchanged = bool(self.tag) and (_tag(headers), whole_size(headers)) == (self.tag, self.size)
        else:
            data, unchanged = self._fetched(start, stop, system), False
        if not unchanged:
            # Behind the bytes: if the file is still the same, so was it when they were read.
            self.verify(system)
        if len(data) != stop - start:
            raise OSError(f"the server gave {len(data):,} bytes where {stop - start:,} were asked for")
        return data

    def _fetched(self, start: int, stop: int, system: Any) -> bytes:
        path = self.store.path()
        if self.store.address.scheme not in ("sftp", "ssh"):
            found: bytes = system.cat_file(path, start=start, end=stop)
            return found
        with system.open(path, "rb") as file:  # its `cat_file` knows no ranges
            file.seek(start)
            return _all_of(file, stop - start)

    def _streamed(self, start: int) -> Iterator[bytes]:
        """The bytes of a file that can only be read from its beginning: again, if the connection breaks."""
        at, failures = start, 0
        while True:
            began = at
            try:
                for data in self._once(at):
                    at += len(data)
                    yield data
                break
            except _Broken as broken:
                failures = 1 if at > began else failures + 1
                if failures >= self.store.options.attempts:
                    raise self.store.gone(broken.why) from None
        if self.size is not None and at != self.size:
            raise Refused(f"{self.name} should have {self.size:,} bytes, but the server gave {at:,}")
        self.store.call(self.verify)

    def _once(self, skipped: int) -> Iterator[bytes]:
        file = self.store.call(self._open_stream)
        at, size = 0, self._length_of(file)
        try:
            while data := self._read(file):
                fresh = data[max(0, skipped - at) :]
                at += len(data)
                if fresh:
                    yield fresh
        finally:
            file.close()
        if size is not None and at < size:
            raise _Broken(OSError(f"the connection ended after {at:,} of {size:,} bytes"))

    def _length_of(self, stream: Any) -> int | None:
        headers = stream.r.headers if self.store.address.is_web else {}
        said = headers.get("Content-Length", "") if self.size is None else str(self.size)
        return int(said) if said.isdecimal() else None

    def _open_stream(self, system: Any) -> Any:
        path = self.store.path()
        if not self.store.address.is_web:
            return system.open(path, "rb")
        file = system.open(path, "rb", block_size=0)
        if self._length_of(file) is None and "chunked" not in file.r.headers.get("Transfer-Encoding", ""):
            file.close()
            raise Refused(
                f"{self.name} can't be read: the server doesn't say how long it is, so its end can't be told from a "
                "broken connection; download it first"
            )
        return file

    def _read(self, file: Any) -> bytes:
        call: Call[bytes] = Call(lambda: file.read(CHUNK))
        if not call.ended(self.store.options.timeout):
            raise _Broken(TimeoutError(f"no answer for {self.store.options.timeout:g} s"))
        try:
            return call.result()
        except Exception as error:
            raise _Broken(error) from None


class _Broken(Exception):
    def __init__(self, why: BaseException) -> None:
        super().__init__(str(why))
        self.why = why


def _all_of(file: Any, size: int) -> bytes:
    found = b""
    while len(found) < size and (data := file.read(size - len(found))):
        found += data
    return found


def _chunks(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), CHUNK):
        yield data[at : at + CHUNK]


class _Joined(RawIOBase):
    """Chunks as one file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        size = min(len(into), len(self._left))
        into[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class _Anywhere(RawIOBase):
    """A file of which each read is a request."""

    def __init__(self, file: RemoteFile, size: int) -> None:
        self._file, self._size, self._at = file, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self._at = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, into: Any) -> int:
        stop = min(self._at + len(into), self._size)
        if stop <= self._at:
            return 0
        (data,) = self._file.parts([(self._at, stop)])
        into[: len(data)] = data
        self._at = stop
        return len(data)


# Finding


def find(address: Address, options: StorageOptions | None) -> list[RemoteFile]:
    """The files that an address leads to; those of a glob are sorted by name.

    Raises OSError or ValueError, with a message, if there are none, or if the server can't be reached.
    """
    store = Store(address, options)
    store.check()
    if not address.is_glob:
        return [store.call(lambda system: _looked_at(store, system))]
    found = store.call(lambda system: system.glob(store.path(), detail=True))
    infos = {name: info for name, info in sorted(found.items()) if info.get("type") != "directory"}
    if not infos:
        raise FileNotFoundError(f"no file matches {address}")
    return [_of_glob(address.with_path(name), info, store) for name, info in infos.items()]


def _looked_at(store: Store, system: Any) -> RemoteFile:
    info = system.info(store.path())
    if info.get("type") == "directory":
        raise IsADirectoryError(f"{store.address} is a folder; write {str(store.address).rstrip('/')}/* for its files")
    return _found(store, info)


def _of_glob(address: Address, info: dict[str, Any], listed: Store) -> RemoteFile:
    store = listed.of(address)
    if address.is_web or not _tag(info):
        return store.call(lambda system: _looked_at(store, system))
    return _found(store, info)


def _found(store: Store, info: dict[str, Any]) -> RemoteFile:
    size = info.get("size")
    if store.address.is_web and not size:  # some servers say 0 where they don't know
        size = None
    return RemoteFile(
        str(store.address),
        size if isinstance(size, int) else None,
        _tag(info),
        store.address.name,
        info.get("partial", True) is not False,
        store,
    )


def _tag(info: Mapping[str, Any]) -> str:
    return next((str(info[name]).strip('"') for name in TAGS if info.get(name)), "")
