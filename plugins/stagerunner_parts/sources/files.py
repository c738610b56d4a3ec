"""The source `files`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from stagerunner import Malformed, Origin, Split, Want, source
from stagerunner_parts.sources.inputs import STDIN, find
from stagerunner_parts.sources.pieces import InputFile


@source("files")
class Files:
    """Read whole files, one record each.

    A record is {"path": text, "bytes": content}. Compressed files are not decompressed.

    path: a file, a glob, or a list of these.
    """

    max_record = 16 * 2**20
    pure = True

    def __init__(self, *, path: Path | list[Path]) -> None:
        self.path = path

    @cached_property
    def _files(self) -> list[InputFile]:
        return find(self.path, whole=True)

    def check(self) -> None:
        """Raises OSError or ValueError, with a message, if there is nothing to read."""
        if self.path in (STDIN, [STDIN]):
            raise ValueError("standard input is not a file; `files` needs a path")
        self._files  # noqa: B018  finding them is the check

    def identity(self) -> Any:
        return [file.identity() for file in self._files]

    def size(self) -> int:
        return sum(file.size for file in self._files)

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: the name of the last finished file."""
        names = [file.name for file in self._files]
        if after is not None and after not in names:
            raise FileNotFoundError(f"the run stopped at {after}, which is no longer a file of the source")
        group: list[InputFile] = []
        for file in self._files[0 if after is None else names.index(after) + 1 :]:
            group.append(file)
            if sum(max(1, one.size) for one in group) >= want.size:
                yield _split(group)
                group = []
        if group:
            yield _split(group)

    def read(self, split: Split) -> Iterator[Any]:
        """A file that is too long, or gone, is malformed."""
        return (self._one(InputFile(*file)) for file in split.data)

    def locate(self, split: Split, number: int) -> Origin:
        return Origin(split.data[number][0])

    def _one(self, found: InputFile) -> Any:
        name = found.name
        try:
            content = self._content(found)
        except OSError as error:
            return Malformed(type(error).__name__, str(error), name)
        if len(content) > self.max_record:
            return Malformed("TooLarge", f"the file is larger than max_record allows: {self.max_record:,} bytes", name)
        return {"path": name, "bytes": content}

    def _content(self, found: InputFile) -> bytes:
        """The content as of when the file was found; a file of /proc has no size, and gives its present content."""
        with found.opened() as file:
            endless = os.fstat(file.fileno()).st_size == 0
            content, most = b"", self.max_record + 1 if endless else min(found.size, self.max_record + 1)
            while len(content) < most and (data := file.read(most - len(content))):
                content += data
            found.verify(file.fileno())
            return content


def _split(group: list[InputFile]) -> Split:
    size = sum(max(1, file.size) for file in group)
    return Split([tuple(file) for file in group], size, group[-1].name, len(group))
