"""Compression by a file's suffix: .gz, .bz2, .xz."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Protocol, cast


class Compressor(Protocol):
    """One compressed member: `compress` returns bytes as they are ready, `flush` the rest."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


MODULES = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
"""Suffix → the module that opens such a file, imported when it is needed."""


def is_compressed(path: str | Path) -> bool:
    """Whether a file of this name is compressed."""
    return Path(path).suffix.lower() in MODULES


def compressor(path: str | Path) -> Compressor | None:
    """A new compressed member for a file of this name; None if it isn't compressed."""
    match Path(path).suffix.lower():
        case ".gz":
            # 16 + 15: the gzip format, without name and time, so that equal data gives equal bytes.
            return zlib.compressobj(wbits=31)
        case ".bz2":
            import bz2

            return bz2.BZ2Compressor()
        case ".xz":
            import lzma

            return lzma.LZMACompressor()
    return None


@contextmanager
def opened(path: str | Path, *, named: str | Path | None = None, raw: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """Open a file to read, decompressed according to its suffix. Raises OSError if it is damaged.

    named: take the suffix from this name. raw: the file, if it is open already.
    """
    if raw is not None and not is_compressed(named or path):
        yield raw
        return
    module = import_module(MODULES.get(Path(named or path).suffix.lower(), "io"))
    damage = (EOFError, zlib.error, getattr(module, "LZMAError", EOFError))
    try:
        with cast(IO[bytes], module.open(raw or str(path), "rb")) as file:
            yield file
    except damage as error:
        raise OSError(f"{path} can't be decompressed: {error}") from error
