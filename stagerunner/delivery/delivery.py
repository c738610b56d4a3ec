"""Delivery: accepted results go to the result writer, failures to the dead letters, counts into the ledger.

    results ─▶ ResultWriter    failures ─▶ DeadLetters, observers    dropped records ─▶ their file    counts ─▶ Ledger

Order of a commit: dead letters and dropped records, sink, journal. The journal may lag the sink and never leads it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

from stagerunner.config.masking import Mask
from stagerunner.config.wording import shortened
from stagerunner.delivery.deadletters import DeadLetters, dropped, letter
from stagerunner.delivery.ledger import MANY, Ledger
from stagerunner.delivery.writers import ResultWriter
from stagerunner.errors import Stopped
from stagerunner.evaluate.wording import text_of
from stagerunner.events import RecordFailed
from stagerunner.failpoints import point
from stagerunner.records import DROP, PASSING, SOURCE, SPENT, Counts, Entering, Failure, Origin

SHOWN = Mask(())
"""A mask that hides nothing."""

Locate = Callable[[Any, int], Origin]
"""(kept split, source record) → where that record stands."""


class Row(Protocol):
    """What a commit is recorded in: the journal."""

    def write(self, row: dict[str, Any]) -> None: ...


class Delivery:
    """Everything that happens to accepted results, once and in order.

    names: of the stages. limits: stage → most failures (`max_errors`). sinks: the names of those for which the last
    worker encodes; each has a line in the ledger. branches: each of them is asked for every record. mask: hides secrets
    in failures and in names of counters, before they are reported or journaled. dropped: the file of
    dropped records, if there is one.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        writer: ResultWriter,
        letters: DeadLetters | None,
        listener: Callable[[Any], None],
        limits: dict[int, int],
        *,
        sinks: tuple[str, ...] = (),
        branches: bool = False,
        mask: Mask = SHOWN,
        dropped: DeadLetters | None = None,
    ) -> None:
        self._names = (*names, *sinks)
        self._letters = letters
        self._dropped = dropped
        self._files = {key: file for key, file in (("letters", letters), ("dropped", dropped)) if file is not None}
        self._listener = listener
        self._limits = limits
        self._mask, self._masks = mask, bool(mask)
        self._failures: dict[int, int] = {}
        self.writer = writer
        self.ledger = Ledger(len(names), sinks=len(sinks), branches=branches)
        self.fatal: Failure | None = None
        """The failure that ends the run."""
        self.fatal_origin = Origin("")
        self.too_many: int | None = None
        """The stage that had more failures than its `max_errors`."""
        self.finished = False
        """The output is complete and has its final name."""

    @property
    def dropped(self) -> int:
        """Records of this run in the file of dropped records."""
        return 0 if self._dropped is None else self._dropped.position

    def stage_name(self, index: int) -> str:
        return "source" if index == SOURCE else self._names[index]

    def failures(self, failures: list[Failure], split: Any, locate: Locate) -> None:
        """Report failures in the order of the source, whichever stage they come from."""
        for failure in sorted(failures, key=lambda f: (f.origin, f.stage, f.ordinal)):
            origin = locate(split, failure.origin)
            if type(failure.record) is Entering:
                failure = failure._replace(record=failure.record.record)
            if self._masks:
                failure = self._masked(failure)
            if failure.policy == "fail" and self.fatal is None:
                self.fatal, self.fatal_origin = failure, origin
            if failure.type not in (SPENT, PASSING):  # nothing is wrong with that record
                self._book(failure, origin)

    def _masked(self, failure: Failure) -> Failure:
        """Masked, except for the record or the text that stands for it."""
        said = (failure.type, failure.message, failure.frames, failure.causes)
        type_, message, frames, causes = self._mask.data(said)
        return failure._replace(type=type_, message=message, frames=frames, causes=causes)

    def record_text(self, failure: Failure) -> str:
        """The failed record as a short, masked text."""
        return failure_text(failure, self._mask)

    def _book(self, failure: Failure, origin: Origin) -> None:
        name = self.stage_name(failure.stage)
        if failure.policy == DROP:
            if self._dropped is not None:
                self._dropped.write(dropped(failure, name, origin, self._dropped.conceal))
            return
        if failure.policy == "dead_letter" and self._letters is not None:
            self._letters.write(letter(failure, name, origin, self._letters.conceal))
        if failure.policy != "fail":
            count = self._failures[failure.stage] = self._failures.get(failure.stage, 0) + 1
            if count > self._limits.get(failure.stage, count):
                self.too_many = failure.stage
        self._listener(
            RecordFailed(name, failure.type, failure.message, failure.policy, where(origin), self.record_text(failure))
        )

    def counts(self, lines: Iterable[tuple[int, ...]], extras: Iterable[tuple[int, dict[str, int]]] = ()) -> None:
        """Add the counts of a frame or piece to the ledger."""
        ledger = self.ledger
        ledger.lines += lines
        if len(ledger.lines) >= MANY:
            ledger.settle()
        if extras:
            ledger.add_extras((stage, self._masked_counters(counters)) for stage, counters in extras)

    def count_fatal(self, flush: int) -> None:
        """Count the record that the run fails with as not processed. The journal doesn't keep that, because a resumed
        run tries the record again. flush: the stage whose flush gave it, or -1."""
        self.ledger.keep_no_more()
        failure, begun = self.fatal, SOURCE if flush < 0 else flush
        if failure is None or (failure.stage == begun and failure.record is None):
            return  # what did not come can't be counted
        branches = self.ledger.branches
        at_door = failure.stage in branches
        for stage in range(begun, self.ledger.last + 1 if at_door else failure.stage):
            flushed = int(stage == begun != SOURCE)
            self.ledger.add([Counts(stage, taken=1 - flushed, created=flushed, out=1)])
        ends = branches if at_door else (failure.stage,)
        self.ledger.add(Counts(index, taken=1, not_processed=1) for index in ends)

    def _masked_counters(self, counters: dict[str, int]) -> dict[str, int]:
        """The counters with masked names; those that now share a name are added up."""
        if not self._masks:
            return counters
        named: dict[str, int] = {}
        for name, number in counters.items():
            shown = self._mask(name)
            named[shown] = named.get(shown, 0) + number
        return named

    def open(self, row: dict[str, Any] | None) -> None:
        """Start anew (None), or go on from a journal row."""
        if row is not None:
            self.ledger.restore(row["ledger"])
            self._failures = {int(stage): count for stage, count in row["failures"].items()}
            over = (stage for stage, count in self._failures.items() if count > self._limits.get(stage, count))
            self.too_many = next(over, None)
        self.writer.open(None if row is None else row["sink"])
        for key, file in self._files.items():
            file.open(None if row is None else row.get(key))

    def commit(self, row: dict[str, Any], journal: Row | None, *, power: bool = False) -> None:
        """Make everything delivered durable, and complete the row that says so."""
        for key, file in self._files.items():
            file.push()
            if power:
                file.sync()
            row[key] = file.position
        row |= {"ledger": self.ledger.as_rows(), "failures": {str(k): v for k, v in self._failures.items()}}
        if self.writer.keeps == "transaction":
            row["sink"] = self.writer.position()  # the row goes into the transaction that it describes
        self.writer.commit(row)
        if power:
            self.writer.sync()
        row["sink"] = self.writer.position()
        point("sink written")
        if journal is not None:
            journal.write(row)
        point("commit")

    def finish(self) -> None:
        self.writer.finish()
        for file in self._files.values():
            file.close()
        self.finished = True

    def abort(self, *, resumable: bool = True) -> None:
        """Close, and keep what `--resume` needs."""
        if not resumable:
            self.writer.discard()
        self.writer.abort()
        for file in self._files.values():
            with suppress(Stopped):
                file.push()
            file.close()


def where(origin: Origin) -> str:
    """An origin in words: "a.jsonl, line 17, byte 1042" or "record 18402"."""
    parts = [origin.name] if origin.name else []
    if origin.line is not None:
        parts.append(f"line {origin.line}")
    if origin.offset is not None:
        parts.append(f"byte {origin.offset}")
    if origin.number is not None:
        parts.append(f"record {origin.number}")
    return ", ".join(parts)


def failure_text(failure: Failure, mask: Callable[[str], str] = str) -> str:
    """The record, short enough for a screen. Masked before it is cut: a mask can't find half a secret."""
    text = mask(failure.text or text_of(failure.record, sys.maxsize))
    return shortened(text, 200)
