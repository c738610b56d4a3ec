"""What sinks of many files share: bodies of named files, and how files reach their folder when the run is complete."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct

SIZES = Struct(">II")
"""In front of each file: how many bytes its name has, and its content."""


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A body of named files: (name, content)."""
    return b"".join(part for name, content in files for part in _packed(name.encode(), content))


def _packed(name: bytes, content: bytes) -> tuple[bytes, bytes, bytes]:
    return SIZES.pack(len(name), len(content)), name, content


def unpack(body: bytes | memoryview) -> Iterator[tuple[str, memoryview]]:
    """The files of such a body. Their content isn't copied."""
    view, at = memoryview(body), 0
    while at < len(view):
        name, content = SIZES.unpack_from(view, at)
        at += SIZES.size
        yield str(view[at : at + name], "utf-8"), view[at + name : at + name + content]
        at += name + content


def move(path: Path, new: Path, folder: Path, shown: Path) -> None:
    """Move a file to its place below `folder`. shown: the folder as the user calls it.

    Raises OSError if a link in the place leads out of the folder.
    """
    new.parent.mkdir(parents=True, exist_ok=True)
    if not Path(os.path.realpath(new.parent)).is_relative_to(folder):
        raise OSError(f"{new.parent} is a link that leads out of {shown}")
    if os.path.lexists(path):
        path.replace(new)


def in_the_way(path: Path) -> FileExistsError:
    """The error for a partial output that some other program may have made."""
    return FileExistsError(
        f"{path} is in the way, and it isn't known to come from an unfinished run of this output; "
        "move it away, or remove it"
    )
