"""The ledger: per stage and end to end, in + created = out + filtered + skipped + dead + not processed.

A sink is the last in the chain. A chain that branches ends at the door of its sinks. Each sink gets every record that
leaves the last stage, and has a line of its own: there, `filtered` are the records that it passed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from stagerunner.events import FATES
from stagerunner.records import SOURCE, Counts

MANY = 1024
"""Lines after which they are added up, even if no total was asked for."""


class Ledger:
    """The counts of a run with so many stages. The source has the index SOURCE, the first sink the index `stages`.

    branches: each sink is asked for every record.
    """

    def __init__(self, stages: int, *, sinks: int, branches: bool = False) -> None:
        self._entries = {index: Counts(index) for index in range(SOURCE, stages + max(1, sinks))}
        self.branches = range(stages, stages + sinks) if branches else range(0)
        """The indices of the sinks behind the door, where the chain branches."""
        ends = stages if sinks and not branches else stages - 1
        self.last = max(SOURCE, ends)
        """The last stage, or the one sink."""
        self.lines: list[tuple[int, ...]] = []
        """What frames have brought, (stage, taken, …), and is not added up yet. From MANY on, call `settle`."""
        self._kept: list[list[object]] | None = None
        """The rows for the journal, once the ledger has counts that the journal must not keep."""

    @property
    def entries(self) -> dict[int, Counts]:
        """Stage → its counts."""
        self.settle()
        return self._entries

    def add(self, counts: Iterable[Counts]) -> None:
        for entry in counts:
            self.entries[entry.stage].add(entry)

    def add_extras(self, extras: Iterable[tuple[int, dict[str, int]]]) -> None:
        """Add the stages' own counters."""
        for stage, extra in extras:
            self._entries[stage].add(Counts(stage, extra=extra))

    def settle(self) -> None:
        """Add up the waiting lines, column by column: added a few at a time, each costs four times as much."""
        lines, self.lines = self.lines, []
        for stage in {line[0] for line in lines}:
            columns = zip(*[line for line in lines if line[0] == stage], strict=True)
            self._entries[stage].add(Counts(stage, *[sum(column) for column in columns][1:]))

    @property
    def taken(self) -> int:
        """Records the source gave, malformed ones included."""
        return self.entries[SOURCE].taken

    @property
    def out(self) -> int:
        """Records that reached the sink, or the caller; of several sinks, their door."""
        return self.entries[self.last].out - self._left

    @property
    def _left(self) -> int:
        """Records at the door of the sinks that no sink got, because the run failed with them."""
        return self.entries[self.branches[0]].not_processed if self.branches else 0

    @property
    def _chain(self) -> list[Counts]:
        """The entries from the source to where the fate of a record ends."""
        return [self.entries[index] for index in range(SOURCE, self.last + 1)]

    @property
    def failed(self) -> int:
        return sum(entry.skipped + entry.dead for entry in self.entries.values())

    @property
    def dead(self) -> int:
        return sum(entry.dead for entry in self.entries.values())

    def records(self) -> dict[str, int]:
        """End to end: in, created, and the fates."""
        entries = self._chain
        return {
            "in": self.taken,
            "created": sum(entry.created for entry in entries),
            "out": self.out,
            "filtered": sum(entry.filtered for entry in entries),
            "skipped": sum(entry.skipped for entry in entries),
            "dead": sum(entry.dead for entry in entries),
            "not_processed": sum(entry.not_processed for entry in entries) + self._left,
        }

    @property
    def balanced(self) -> bool:
        """Whether each stage balances, took in what the stage before gave, and nothing is missing end to end."""
        total = self.records()
        gone = sum(total[fate] for fate in FATES)
        if total["in"] + total["created"] != gone:
            return False
        chain, sinks = self._chain, [self.entries[index] for index in self.branches]
        handed = all(before.out == after.taken for before, after in itertools.pairwise(chain))
        shared = all(sink.taken == chain[-1].out for sink in sinks)
        return handed and shared and all(entry.balanced for entry in (*chain, *sinks))

    def as_rows(self) -> list[list[object]]:
        """Plain data for the journal."""
        return self._kept or [as_row(entry) for entry in self.entries.values()]

    def keep_no_more(self) -> None:
        """Freeze what the journal gets: what is counted from now on is counted again after a resume."""
        self._kept = self.as_rows()

    def restore(self, rows: Sequence[list[Any]]) -> None:
        """Go on from the rows of a journal."""
        self._entries |= {row[0]: Counts(*row) for row in rows}


def as_row(entry: Counts) -> list[object]:
    """The arguments of Counts."""
    return [
        entry.stage,
        entry.taken,
        entry.created,
        entry.out,
        entry.filtered,
        entry.skipped,
        entry.dead,
        entry.not_processed,
        dict(entry.extra),
    ]
