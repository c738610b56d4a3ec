"""The sink `lines`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stagerunner import sink
from stagerunner_parts.sinks.output import FileOutput, Mode
from stagerunner_parts.sinks.rendering import text_lines


@sink("lines")
class Lines(FileOutput):
    """Write a record a line: text as it is, everything else as JSON.

    A file whose name ends in .gz, .bz2 or .xz is compressed.

    path: the file, or - for standard output.
    mode: replace an earlier file, append to it, or write a new one only.
    """

    def __init__(self, *, path: Path, mode: Mode = "replace") -> None:
        super().__init__(path, mode)

    def encode(self, records: list[Any]) -> bytes:
        return text_lines(records)
