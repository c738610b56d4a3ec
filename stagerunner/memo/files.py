"""Checksums of the files that a result depends on: code, and what options name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b

READ = 2**26
"""Bytes of a file up to which its content counts. Beyond, as for a model, its size and the time of its last change
do."""

GONE = "gone"


def checksum(path: str) -> str:
    """What changes whenever the file does, or any file below the folder. "gone" if there is none."""
    try:
        if os.path.isdir(path):  # noqa: PTH112 - a worker does without pathlib
            return _digest(b"".join(f"{name}\0{told}\0".encode() for name, told in _below(path)))
        return _of_file(path)
    except OSError:
        return GONE


def changed(files: dict[str, str]) -> str:
    """The first of these files (path → checksum) that is not what it was; "" if all are."""
    return next((path for path, before in files.items() if checksum(path) != before), "")


def _of_file(path: str) -> str:
    found = os.stat(path)  # noqa: PTH116
    if found.st_size > READ:
        return _stamp(found)
    with open(path, "rb") as file:
        return _digest(file.read())


def _below(folder: str) -> Iterator[tuple[str, str]]:
    for base, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(base, name)  # noqa: PTH118
            yield os.path.relpath(path, folder), _stamp(os.stat(path))  # noqa: PTH116


def _stamp(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
