"""The sink `lines`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagerunner import sink
from stagerunner_parts.sinks.output import FileOutput, Mode
from stagerunner_parts.sinks.rendering import text_lines


@sink("lines")
@dataclass(kw_only=True)
class Lines(FileOutput):
    """Write a record a line: text as it is, everything else as JSON.

    A file whose name ends in .gz, .bz2 or .xz is compressed.

    path: the file, or - for standard output.
    mode: replace an earlier file, append to it, or write a new one only.
    """

    path: Path
    mode: Mode = "replace"

    def encode(self, records: list[Any]) -> bytes:
        return text_lines(records)
