"""What a journal's row says, for a chain that was changed since and is resumed by force.

A row knows stages by their numbers; a stage that is still there under its name keeps its books, its state and its
failures, wherever it stands now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stagerunner.delivery.books import GONE, as_row
from stagerunner.journal import frozen, thawed
from stagerunner.records import SOURCE, Counts


def carried(row: dict[str, Any], now: Sequence[str]) -> dict[str, Any]:
    """The row for a chain with these stages. What goes by no number stays as it is."""
    before = row["order"]
    if before == list(now):
        return row
    numbers = {number: now.index(name) for number, name in enumerate(before) if name in now}
    numbers |= {SOURCE: SOURCE, len(before): len(now)}
    return row | {
        "order": list(now),
        "books": _books(row["books"], numbers),
        "failures": {str(numbers[int(old)]): count for old, count in row["failures"].items() if int(old) in numbers},
        "snapshots": frozen({numbers[old]: s for old, s in thawed(row["snapshots"]).items() if old in numbers}),
        "stopped": numbers.get(row["stopped"]),
    }


def _books(rows: list[list[Any]], numbers: dict[int, int]) -> list[list[object]]:
    gone = Counts(GONE)
    for old, *counts in rows:
        if old not in numbers:
            gone.add(Counts(GONE, *counts))
    return [*([numbers[old], *counts] for old, *counts in rows if old in numbers), as_row(gone)]
