"""The outputs of several runs as one: their records, in order, compressed as one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from stagerunner_parts.compression import compressor, opened

CHUNK = 2**20
"""Bytes that are read at a time."""


def joined(path: Path, parts: list[Path], pass_head: Callable[[IO[bytes], bool], bytes]) -> Iterator[bytes]:
    """The bytes of one output with the records of all parts.

    path: the output. parts: finished outputs of the same kind. pass_head: reads what stands in front of the records of
    a part, and returns what belongs into the output. Its second argument says whether the output is still empty.
    """
    pack, empty = compressor(path), True
    for part in parts:
        with opened(part) as file:
            passed = pass_head(file, empty)
            while data := passed or file.read(CHUNK):
                passed, empty = b"", False
                yield pack.compress(data) if pack else data
    if pack:
        yield pack.flush()
