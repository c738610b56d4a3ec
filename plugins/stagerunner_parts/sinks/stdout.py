"""The sink `stdout`."""

from __future__ import annotations

import sys
from typing import Any

from stagerunner import sink
from stagerunner_parts.sinks.null import Null
from stagerunner_parts.sinks.rendering import text_lines


@sink("stdout")
class Stdout(Null):
    """Write to standard output: text as it is, everything else as JSON."""

    stdout = streams = True
    """The runner itself writes what `rendered` returns, as fast as its reader reads."""

    def connect(self) -> int:
        """The descriptor to write to."""
        return 1

    def encode(self, records: list[Any]) -> bytes:
        return text_lines(records)

    def rendered(self, data: bytes) -> bytes:
        return data

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)

    def commit(self, row: Any) -> None:
        sys.stdout.buffer.flush()

    def describe(self) -> str:
        return "standard output"
