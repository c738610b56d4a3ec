"""What sinks of many files share: bodies of named files, and how files reach their folder when the run is complete."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from stagerunner_parts.sinks.pairs import join, pairs_in


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A body of named files: (name, content)."""
    return join((name.encode(), content) for name, content in files)


def unpack(body: bytes | memoryview) -> Iterator[tuple[str, memoryview]]:
    """The files of such a body. Their content isn't copied."""
    return ((str(name, "utf-8"), content) for name, content in pairs_in(body))


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
