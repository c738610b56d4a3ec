"""Several sinks behind one door: each gets its share of every body, and all are committed together.

Order of a commit: files, then each sink with transactions, with a row that says where all of them stand. The last of
these is the authority for it. Killed between two of them, an earlier one is *ahead*: it has results that a resumed run
makes again. It skips them, counted in source records, and frames are cut there (runtime/dispatch.py). What is left to
skip stands in every row, so that a resume may be killed as well.

Records that a sink refused are made again, too, and can't be refused again by a sink that skips them. So each row says
which these were since the row before it, by their number among all records that the sink was ever handed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from stagerunner.delivery.writers import RefusingWriter, ResultWriter
from stagerunner.errors import InternalError
from stagerunner.evaluate.branches import Share, parted
from stagerunner.evaluate.refusable import Why
from stagerunner.failpoints import point
from stagerunner.records import NOTHING, Failure

ALL = -1
"""As what a sink skips: everything that is still to come."""


class Lead(Struct, frozen=True):
    """How far a sink is ahead. position: its own. records: source records whose results it has; ALL for the whole
    run's. refused: which of the records that it was handed it has refused, and why."""

    position: Any
    records: int
    refused: dict[int, Why] = {}


class Refused:
    """Which records a sink has refused. handed: how many it was handed in the whole run. known: those it had refused
    when it was further."""

    def __init__(self, handed: int, known: Mapping[int, Why]) -> None:
        self.handed = handed
        self._known = dict(known)
        self._since: dict[int, Why] = {}
        """Since the last row."""

    def again(self, records: int) -> dict[int, Why]:
        """So many records come that the sink has had: those that it refused then, by number among them."""
        last = self.handed + records
        found = {at - self.handed: why for at, why in self._known.items() if self.handed <= at < last}
        self.handed = last
        return found

    def note(self, records: int, refused: Mapping[int, Why]) -> None:
        """So many records were handed to the sink, and it refused some."""
        self._since |= {self.handed + at: why for at, why in refused.items()}
        self.handed += records

    def row(self) -> dict[str, Why]:
        """What the next row says."""
        return {str(at): why for at, why in (self._known | self._since).items()}

    def committed(self) -> None:
        self._since.clear()
        self._known = {at: why for at, why in self._known.items() if at >= self.handed}


class BranchWriter:
    """Hands each sink its share of a body. Its position is the list of the sinks' positions.

    leads: the sinks that are ahead. handed: from the row of a resumed run, how many records each sink that may refuse
    some was handed.
    """

    def __init__(
        self, writers: Sequence[ResultWriter], leads: Mapping[int, Lead], handed: Mapping[str, int] = NOTHING
    ) -> None:
        self._writers = tuple(writers)
        self._books = {
            number: Refused(handed.get(str(number), 0), leads[number].refused if number in leads else {})
            for number, writer in enumerate(writers)
            if isinstance(writer, RefusingWriter)
        }
        kept = [writer.keeps for writer in writers]
        self._transactions = [writer for writer in writers if writer.keeps == "transaction"]
        self.keeps = next((keeps for keeps in ("nothing", "transaction") if keeps in kept), "truncate")
        self._leads = leads
        self._ahead = {number: lead.records for number, lead in leads.items()}
        self.refused: Sequence[Failure] = ()
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
            if number not in self._skipping and number not in self._books:
                writer.write(share.body, share.records)
        if self._books:
            self.refused = [failure for number in self._books for failure in self._put(number, shares[number])]

    def _put(self, number: int, share: Share) -> list[Failure]:
        """Write the share of a sink that may refuse records of it, or skip it; the failures of those."""
        writer, book = self._writers[number], self._books[number]
        if not share.records or not isinstance(writer, RefusingWriter):
            return []
        if number in self._skipping:
            refused = book.again(share.records)
        else:
            refused = writer.put(share.body, share.records)
            book.note(share.records, refused)
        return writer.failures(share.body, refused)

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
        if self._books:
            row["handed"] = {str(number): book.handed for number, book in self._books.items()}
            row["refused"] = {str(number): told for number, book in self._books.items() if (told := book.row())}
        for writer in self._transactions:
            writer.commit(row)
            if writer is not self._transactions[-1]:
                point("one of two")
        for book in self._books.values():
            book.committed()

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
