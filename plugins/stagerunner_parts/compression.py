"""Compression by a file's suffix: .gz, .bz2, .xz, .zst."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, Protocol, cast


class Compressor(Protocol):
    """One compressed member: `compress` returns bytes as they are ready, `flush` the rest."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


MODULES = {
    ".gz": ("gzip",),
    ".bz2": ("bz2",),
    ".xz": ("lzma",),
    ".zst": ("compression.zstd", "backports.zstd"),  # the first is part of Python 3.14
}
"""Suffix → the modules that open such a file. The first that is installed is imported when it is needed."""


def is_compressed(path: str | Path) -> bool:
    """Whether a file of this name is compressed."""
    return _suffix(path) in MODULES


def plain_suffix(path: str | Path) -> str:
    """The suffix of a file's name in lower case, compression aside: ".csv" of x.csv.gz."""
    return _suffix(Path(path).stem if is_compressed(path) else path)


def check_compression(path: str | Path) -> None:
    """Raises ValueError, saying what to install, if a file of this name can't be read or written here."""
    if _suffix(path) == ".zst":
        _module(path)


def _suffix(path: str | Path) -> str:
    return Path(path).suffix.lower()


def _module(path: str | Path) -> ModuleType:
    """The module that opens a file of this name; `io` if it isn't compressed."""
    for name in MODULES.get(_suffix(path), ("io",)):
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise ValueError(f"{path} needs Zstandard: pip install 'stagerunner[zstd]'")


def compressor(path: str | Path) -> Compressor | None:
    """A new compressed member for a file of this name; None if it isn't compressed."""
    match _suffix(path):
        case ".gz":
            # 16 + 15: the gzip format, without name and time, so that equal data gives equal bytes.
            return zlib.compressobj(wbits=31)
        case ".bz2":
            import bz2

            return bz2.BZ2Compressor()
        case ".xz":
            import lzma

            return lzma.LZMACompressor()
        case ".zst":
            zstd = _module(path)
            # With a checksum, as the others have one: without it, most damage isn't noticed.
            options = {zstd.CompressionParameter.checksum_flag: 1}
            return cast(Compressor, zstd.ZstdCompressor(options=options))
    return None


class Members:
    """The compressed members of one file. path: its name says how it is compressed, if it is.

    A sink closes a member at each commit, so the file can be cut back to one and continued.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.packs = is_compressed(path)
        """Whether the file is compressed."""
        self._member: Compressor | None = None

    def packed(self, data: bytes) -> bytes:
        """The bytes to write for this data. Of a compressed file, some come later."""
        if not self.packs:
            return data
        if self._member is None:
            self._member = compressor(self._path)
            assert self._member is not None
        return self._member.compress(data)

    def ended(self) -> bytes:
        """The rest of the member that is open; nothing if none is."""
        member, self._member = self._member, None
        return member.flush() if member else b""


@contextmanager
def opened(path: str | Path, *, named: str | Path | None = None, raw: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """Open a file to read, decompressed according to its suffix. Raises OSError if it is damaged.

    named: take the suffix from this name. raw: the file, if it is open already.
    """
    if raw is not None and not is_compressed(named or path):
        yield raw
        return
    module = _module(named or path)
    own = tuple(getattr(module, name) for name in ("BadGzipFile", "LZMAError", "ZstdError") if hasattr(module, name))
    try:
        with cast(IO[bytes], module.open(raw or str(path), "rb")) as file:
            yield file
    except (EOFError, zlib.error, *own) as error:
        raise OSError(f"{path} can't be decompressed: {error}") from error
