"""Where lines end in a file that is cut into splits, without reading more of it than is needed."""

from __future__ import annotations

import os
from collections.abc import Generator

from stagerunner import Split
from stagerunner_parts.sources.pieces import InputFile, Piece, read

NOT_YET = Split(Piece("", 0, 0, b""), 0, None, 0)
"""An empty split: no record end found yet, ask again."""
NEAR, WIDE, FAR = 4096, 2**16, 2**20
"""Bytes that are read to find a record end: at first, unless lines are long; at most at a time, since more would leave
the cache before it is looked at; and at most before control goes back to the parent's loop."""


class LineEnds:
    """Finds where lines of a file end. It remembers what it read last: the next line may be in it."""

    def __init__(self, file: InputFile, fd: int) -> None:
        self.file, self.fd = file, fd
        self._at, self._data = 0, b""
        self._first = NEAR
        """Bytes to read first: more if it took several reads to find the end before."""

    def after(self, start: int) -> Generator[Split, None, int]:
        """Returns where the line ends in which `start` lies. Yields an empty split after each FAR bytes."""
        known = start - self._at
        if 0 <= known < len(self._data):
            if end := self._data.find(b"\n", known) + 1:
                return self._at + end
            start = self._at + len(self._data)
        amount, looked = self._first, 0
        while start < self.file.size:
            data = read(self.file, self.fd, start, min(start + amount, self.file.size))
            self._at, self._data = start, data
            if end := data.find(b"\n") + 1:
                self._first = amount if end > NEAR or looked else max(NEAR, amount // 2)
                return start + end
            start, amount, looked = start + len(data), min(2 * amount, WIDE), looked + len(data)
            if looked >= FAR:
                looked = 0
                yield NOT_YET
        return self.file.size

    def line(self, start: int, end: int) -> bytes | None:
        """These bytes without the newline; None unless they were read at once, as few lines are not that are short."""
        if start < self._at:
            return None
        return self._data[start - self._at : end - self._at].removesuffix(b"\n")

    def closed(self, end: int) -> bool:
        """Whether the line that ends here has a newline."""
        return os.pread(self.fd, 1, end - 1) == b"\n"
