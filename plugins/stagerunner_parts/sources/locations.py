"""Where records are in files, by byte and line: computed only for records that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from stagerunner_parts.sources.pieces import CHUNK

FARTHEST = 256 * 2**20
"""At most so many bytes are read to count the lines before a record. That takes about a third of a second."""


class Offsets:
    """The offsets of the records of one split, computed as far as they are asked for."""

    def __init__(self, offsets: Iterator[int]) -> None:
        self._rest = offsets
        self._found: list[int] = []

    def __getitem__(self, number: int) -> int | None:
        while len(self._found) <= number:
            offset = next(self._rest, None)
            if offset is None:
                return None
            self._found.append(offset)
        return self._found[number]


class LineNumbers:
    """Line numbers by offset. Asked in ascending order, it reads each byte of a file only once."""

    def __init__(self) -> None:
        self._counted: dict[str, tuple[int, int]] = {}

    def at(self, name: str, offset: int) -> int | None:
        """The number of the line at this offset, from 1; None if it is too far away or the file can't be read."""
        start, lines = self._counted.get(name, (0, 0))
        if start > offset:
            start = lines = 0
        if offset - start > FARTHEST:
            return None
        try:
            lines += _newlines(name, start, offset)
        except OSError:
            return None
        self._counted[name] = (offset, lines)
        return lines + 1


def _newlines(name: str, start: int, stop: int) -> int:
    found = 0
    with open(name, "rb", buffering=0) as file:
        file.seek(start)
        while start < stop and (data := file.read(min(CHUNK, stop - start))):
            found += data.count(b"\n")
            start += len(data)
    return found
