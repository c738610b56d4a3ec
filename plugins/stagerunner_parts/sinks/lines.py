"""The sink `lines`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stagerunner import sink
from stagerunner_parts.remote.address import Address, StorageOptions
from stagerunner_parts.sinks.output import FileOutput, Mode
from stagerunner_parts.sinks.rendering import text_lines


@sink("lines")
class Lines(FileOutput):
    """Write one record per line: text as it is, everything else as JSON.

    A text that contains a line break is refused: it would be read back as several records. If the name of the file
    ends in .gz, .bz2, .xz or .zst, it is compressed.

    path: the file, an address (scheme://…), or - for standard output; with {field} in it, a file for each value.
    mode: replace an existing file, append to it, or write only a new one.
    options: of the file system of an address.
    """

    def __init__(self, *, path: Path | Address, mode: Mode = "replace", options: StorageOptions | None = None) -> None:
        super().__init__(path, mode, options)

    def encode(self, records: list[Any]) -> bytes:
        data = text_lines(records)
        # One byte is searched for first: that takes no time, while searching for both takes as long as encoding.
        if _any_newline(records, data) or (b"\r" in data and b"\r\n" in data):
            _refuse_lines(records)
        return data


def _any_newline(records: list[Any], data: bytes) -> bool:
    """Whether a text has a newline in it. Joined without any, texts are searched in a third of the time that counting
    the newlines of the data takes."""
    try:
        return "\n" in "".join(records)
    except TypeError:  # there are other records than texts
        return data.count(b"\n") != len(records)


def _refuse_lines(records: list[Any]) -> None:
    """Raises ValueError for the first text that would be read back as another one, or as several."""
    for record in records:
        if isinstance(record, str) and ("\n" in record or record.endswith("\r")):
            raise ValueError(f"the text contains a line break, which a line can't hold: {record!r:.60}")
