"""The sink `jsonl`."""

from __future__ import annotations

from pathlib import Path

from stagerunner import sink
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.output import FileOutput, Mode
from stagerunner_parts.sinks.rendering import json_lines


@sink("jsonl", suffixes=(".jsonl", ".ndjson"))
class Jsonl(FileOutput):
    """Write each record as a line of JSON.

    Times are ISO 8601, bytes base64, tuples lists, an enum its value, a dataclass a mapping. Values JSON can't hold are
    refused: nan and infinity, sets, names that aren't text. If the name of the file ends in .gz, .bz2, .xz or .zst,
    it is compressed.

    path: the file, an address (scheme://…), or - for standard output; with {field} in it, a file for each value.
    mode: replace an existing file, append to it, or write only a new one.
    options: of the file system of an address.
    """

    def __init__(self, *, path: Path | Address, mode: Mode = "replace", options: StorageOptions | None = None) -> None:
        super().__init__(path, mode, options)

    encode = staticmethod(json_lines)
