"""The files a source reads: which they are, and whether they are still the same."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from itertools import dropwhile
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

HEAD = 4096
"""Bytes from the start of a file that tell it from another one of the same size."""

STDIN = Path("-")


class InputFile(NamedTuple):
    """A file as it was found: its size then is its end."""

    name: str
    size: int
    changed: int

    def identity(self) -> dict[str, Any]:
        """JSON data that is different when the file is another. Raises OSError when it is gone."""
        with open(self.name, "rb", buffering=0) as file:
            head = f"{crc32(file.read(HEAD)):08x}"  # beside size and time; hashlib would load all of OpenSSL
        return {"path": self.name, "size": self.size, "mtime_ns": self.changed, "head": head}


def find(paths: Path | list[Path]) -> list[InputFile]:
    """The files that paths and globs stand for, in this order, those of a glob by name, each once.

    Raises OSError with a sentence when there are none, or one can't be read.
    """
    named = paths if isinstance(paths, list) else [paths]
    return [_looked_at(name) for name in dict.fromkeys(name for path in named for name in _names(path))]


def remaining(files: Iterable[InputFile], after: Any) -> list[tuple[InputFile, int]]:
    """The files still to be read, and from which byte on. `after`: [name, offset], or None for all of them."""
    if after is None:
        return [(file, 0) for file in files]
    name, offset = after
    left = list(dropwhile(lambda file: file.name != name, files))
    if not left:
        raise FileNotFoundError(f"{name}, where the source stood, is no longer one of its files")
    return [(left[0], offset), *((file, 0) for file in left[1:])]


def _names(path: Path) -> list[str]:
    if path.exists() or not glob.has_magic(str(path)):
        return [str(path)]
    folder = _literal(path)
    # Unlike Path.glob, this leaves out files whose names begin with a dot.
    found = glob.glob(  # noqa: PTH207
        str(path.relative_to(folder)), root_dir=folder, recursive=True
    )
    names = sorted(str(folder / name) for name in found if (folder / name).is_file())
    if not names:
        raise FileNotFoundError(f"no file matches {path}")
    return names


def _literal(path: Path) -> Path:
    """The part of a glob that exists as it is written: a folder may be called "[old]"."""
    return next(parent for parent in path.parents if parent.exists() or not glob.has_magic(str(parent)))


def _looked_at(name: str) -> InputFile:
    try:
        found = Path(name).stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {name}") from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{name} is a folder; {name.rstrip('/')}/* stands for the files in it")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{name} is not a regular file, so it can't be read twice; pipe it in, with - as the path")
    if not os.access(name, os.R_OK):
        raise PermissionError(f"{name} can't be read: permission denied")
    return InputFile(name, found.st_size, found.st_mtime_ns)
