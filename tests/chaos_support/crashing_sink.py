"""The plugin file of the crash matrix for the sink: apart from the stages, so that their workers begin quickly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chaos_support.crashing import POISON, fault

from stagerunner import sink
from stagerunner_parts.sinks.jsonl import Jsonl


@sink("touchy")
class Touchy(Jsonl):
    """Encoding the poison is what the worker does not survive."""

    def __init__(self, *, path: Path, fault: str, mark: str, harmless: bool) -> None:
        super().__init__(path=path)
        self.fault, self.mark, self.harmless = fault, mark, harmless

    def encode(self, records: list[Any]) -> bytes:
        if any(record["deed"] == POISON for record in records):
            if self.harmless:
                raise ValueError("refused")
            fault(self.fault, self.mark)
        return super().encode(records)
