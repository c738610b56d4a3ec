"""Compression by a file's suffix: .gz, .bz2, .xz."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast


class Compressor(Protocol):
    """One compressed member: bytes in, bytes out, and the rest of them when it ends."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


OPEN: dict[str, Callable[[str], object]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
COMPRESS: dict[str, Callable[[], Compressor]] = {
    # 16 + 15: a gzip member, without a name and a time, so that equal data gives equal bytes.
    ".gz": lambda: zlib.compressobj(wbits=31),
    ".bz2": bz2.BZ2Compressor,
    ".xz": lzma.LZMACompressor,
}


def is_compressed(path: str | Path) -> bool:
    """Whether a file of this name is compressed."""
    return Path(path).suffix in OPEN


def compressor(path: str | Path) -> Compressor | None:
    """A new member for a file of this name; None if it isn't to be compressed."""
    make = COMPRESS.get(Path(path).suffix)
    return make() if make else None


@contextmanager
def opened(path: str | Path, *, named: str | Path | None = None) -> Iterator[IO[bytes]]:
    """The file to read, decompressed where its name says so, or the name it is to have.

    Raises OSError when it turns out to be damaged.
    """
    suffix = Path(named or path).suffix
    try:
        with cast(IO[bytes], OPEN.get(suffix, _plain)(str(path))) as file:
            yield file
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise OSError(f"{path} can't be decompressed: {error}") from error


def _plain(path: str) -> IO[bytes]:
    return open(path, "rb")
