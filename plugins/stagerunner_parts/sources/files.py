"""The source `files`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from stagerunner import Malformed, Origin, Split, Want, source
from stagerunner_parts.sources.inputs import STDIN, InputFile, find


@source("files")
class Files:
    """Read whole files, a record each.

    A record is {"path": text, "bytes": what the file holds, compressed or not}.

    path: a file, a glob, or a list of these.
    """

    max_record = 16 * 2**20

    def __init__(self, *, path: Path | list[Path]) -> None:
        self.path = path

    @cached_property
    def _files(self) -> list[InputFile]:
        return find(self.path)

    def check(self) -> None:
        """Raises OSError or ValueError, with a sentence, when there is nothing to read."""
        if self.path in (STDIN, [STDIN]):
            raise ValueError("standard input is no file; `files` needs a path")
        self._files  # noqa: B018  finding them is the check

    def identity(self) -> Any:
        return [file.identity() for file in self._files]

    def size(self) -> int:
        return sum(file.size for file in self._files)

    def splits(self, after: Any, want: Want) -> Iterator[Split]:
        """`after`: name of the last file done with."""
        names = [file.name for file in self._files]
        if after is not None and after not in names:
            raise FileNotFoundError(f"{after}, where the source stood, is no longer one of its files")
        group: list[InputFile] = []
        for file in self._files[0 if after is None else names.index(after) + 1 :]:
            group.append(file)
            if sum(max(1, one.size) for one in group) >= want.size:
                yield _split(group)
                group = []
        if group:
            yield _split(group)

    def read(self, split: Split) -> Iterator[Any]:
        """A file that has grown too long, or is gone, is malformed."""
        return (self._one(name) for name in split.data)

    def locate(self, split: Split, number: int) -> Origin:
        return Origin(split.data[number])

    def _one(self, name: str) -> Any:
        try:
            with open(name, "rb") as file:
                content = file.read(self.max_record + 1)
        except OSError as error:
            return Malformed(type(error).__name__, str(error), name)
        if len(content) > self.max_record:
            return Malformed("TooLarge", f"a file of more than {self.max_record:,} bytes, the max_record", name)
        return {"path": name, "bytes": content}


def _split(group: list[InputFile]) -> Split:
    size = sum(max(1, file.size) for file in group)
    return Split([file.name for file in group], size, group[-1].name, len(group))
