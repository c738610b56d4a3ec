"""The plugin file of the crash matrix for the source: apart from the stages, so that their workers begin quickly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos_support.crashing import POISON, fault

from stagerunner import source
from stagerunner_parts.sources.jsonl import Jsonl


@source("trapped")
class Trapped(Jsonl):
    """Reading its poison is what the worker does not survive."""

    def __init__(self, *, path: Path, fault: str, mark: str, harmless: bool) -> None:
        super().__init__(path=path)
        self.fault, self.mark, self.harmless = fault, mark, harmless

    def read(self, split: Any) -> Iterator[Any]:
        for record in super().read(split):
            if isinstance(record, dict) and record["deed"] == POISON and not self.harmless:
                fault(self.fault, self.mark)
            yield record
