"""Several sinks behind one door: each gets its share of every body, and all are committed together.

Order of a commit: files, then each sink with transactions, with a row that says where all of them stand. The last of
these is the authority for it. Killed between two of them, an earlier one is *ahead*: it has results that a resumed run
makes again. It skips them, counted in source records, and frames are cut there (runtime/dispatch.py). What is left to
skip stands in every row, so that a resume may be killed as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from stagerunner.delivery.writers import ResultWriter
from stagerunner.errors import InternalError
from stagerunner.evaluate.branches import parted
from stagerunner.failpoints import point

ALL = -1
"""As what a sink skips: everything that is still to come."""


class Lead(Struct, frozen=True):
    """How far a sink is ahead. position: its own. records: source records whose results it has; ALL for the whole
    run's."""

    position: Any
    records: int


class BranchWriter:
    """Hands each sink its share of a body. A position is the list of theirs. leads: the sinks that are ahead."""

    def __init__(self, writers: Sequence[ResultWriter], leads: Mapping[int, Lead]) -> None:
        self._writers = tuple(writers)
        kept = [writer.keeps for writer in writers]
        self._transactions = [writer for writer in writers if writer.keeps == "transaction"]
        self.keeps = next((keeps for keeps in ("nothing", "transaction") if keeps in kept), "truncate")
        self._leads = leads
        self._ahead = {number: lead.records for number, lead in leads.items()}
        self._skipping: frozenset[int] = frozenset()
        """The sinks that have had the results that come now."""

    @property
    def ahead(self) -> bool:
        """Whether `coming` must be called before each `write`."""
        return bool(self._ahead)

    @property
    def edges(self) -> list[int]:
        """Where frames must be cut: so many source records behind the beginning a sink is no longer ahead."""
        return sorted({records for records in self._ahead.values() if records != ALL})

    def coming(self, records: int | None) -> None:
        """The results of so many further source records come with the next `write`; None: those of a flush."""
        done = [number for number, left in self._ahead.items() if left == 0]
        for number in done:
            del self._ahead[number]
        self._skipping = frozenset(number for number, left in self._ahead.items() if left == ALL or records is not None)
        for number in self._skipping:
            if self._ahead[number] != ALL:
                self._ahead[number] -= records or 0
                if self._ahead[number] < 0:
                    raise InternalError("a frame has results that a sink has had, and others")

    def open(self, position: Any) -> None:
        for number, writer in enumerate(self._writers):
            if number in self._leads:
                writer.open(self._leads[number].position)
            else:
                writer.open(None if position is None else position[number])

    def write(self, body: memoryview, records: int, buffers: Sequence[memoryview] = ()) -> None:
        shares = parted(body, len(self._writers))
        for number, (writer, share) in enumerate(zip(self._writers, shares, strict=True)):
            if number not in self._skipping:
                writer.write(share.body, share.records)

    def columns(self) -> dict[int, Any]:
        return {number: names for number, writer in enumerate(self._writers) for names in writer.columns().values()}

    def misfit(self, body: memoryview) -> int | None:
        shares = enumerate(zip(self._writers, parted(body, len(self._writers)), strict=True))
        return next(
            (number for number, (writer, share) in shares if share.records and writer.misfit(share.body) is not None),
            None,
        )

    def pauses_dispatch(self) -> bool:
        return any(writer.pauses_dispatch() for writer in self._writers)

    def pauses_receiving(self) -> bool:
        return any(writer.pauses_receiving() for writer in self._writers)

    def position(self) -> list[Any]:
        return [writer.position() for writer in self._writers]

    def commit(self, row: dict[str, Any]) -> None:
        """Commit files first. The row that each transaction gets says where all sinks will then stand."""
        for writer in self._writers:
            if writer.keeps != "transaction":
                writer.commit(row)
        row["sink"] = self.position()
        row["ahead"] = {str(number): left for number, left in self._ahead.items() if left}
        for writer in self._transactions:
            writer.commit(row)
            if writer is not self._transactions[-1]:
                point("one of two")

    def sync(self) -> None:
        for writer in self._writers:
            writer.sync()

    def finish(self) -> None:
        for writer in self._writers:
            writer.finish()
            point("one of several")

    def discard(self) -> None:
        for writer in self._writers:
            writer.discard()

    def abort(self) -> None:
        for writer in self._writers:
            writer.abort()
