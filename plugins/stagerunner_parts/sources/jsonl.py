"""The source `jsonl`."""

from __future__ import annotations

from typing import Any

import msgspec.json

from stagerunner import Malformed, source
from stagerunner_parts.json import reason
from stagerunner_parts.remote.address import StorageOptions
from stagerunner_parts.sources.inputs import Paths
from stagerunner_parts.sources.pieces import Head
from stagerunner_parts.sources.reading import RecordFiles
from stagerunner_parts.sources.texts import no_characters

# One line at a time: decoding many lines at once would accept two values on one line. Checking for that takes longer
# than decoding many lines at once saves.
_decode = msgspec.json.Decoder().decode


@source("jsonl", suffixes=(".jsonl", ".ndjson"))
class Jsonl(RecordFiles):
    """Read files with one JSON value per line.

    Empty lines are ignored. A line that isn't JSON, or is `null`, is malformed. Files whose names end in .gz, .bz2, .xz
    or .zst are decompressed.

    path: a file, a glob, an address (scheme://…), a list of these, or - for standard input.
    options: of the file system of an address.
    """

    faults = (ValueError, RecursionError)

    def __init__(self, *, path: Paths, options: StorageOptions | None = None) -> None:
        self.path = path
        self.options = options

    def decode(self, block: bytes, head: Head) -> list[Any]:
        lines = self._records(block, head)
        try:
            records = list(map(_decode, lines))
        except ValueError:
            # Most files have no empty lines, so they are looked for only after an error.
            kept = list(filter(self.counts, lines))
            if len(kept) == len(lines):
                raise
            records = list(map(_decode, kept))
        # The quickest way to find null; searching the block for the word takes ten times as long.
        if None in records:
            raise ValueError("null")
        return records

    def decode_one(self, raw: bytes, head: Head) -> Any:
        try:
            record = _decode(raw)
        except self.faults as error:
            why = f"the line is not JSON: {reason(error)}"
            return no_characters(raw) or Malformed("JSONDecodeError", why, raw.decode())
        return Malformed("JSONDecodeError", "null can't be a record", "null") if record is None else record

    def counts(self, raw: bytes) -> bool:
        return bool(raw) and not raw.isspace()
