"""Several sinks at the end of a chain: each record is encoded for every sink that wants it.

    body:  for each sink: records 4 · bytes 8   |   the first sink's bytes · the second sink's …

A record that one sink can't encode is a failure of that sink, and the others still get it. A failure that ends the run
ends it for all of them: none gets anything from its source record on.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

from stagerunner.evaluate.copying import defensive_copy
from stagerunner.evaluate.encoding import ELSEWHERE, RecordEncoder
from stagerunner.evaluate.outcome.cursor import Quarantined
from stagerunner.evaluate.outcome.growth import TooLarge
from stagerunner.evaluate.work import Slot
from stagerunner.records import NOTHING, Batch, Entering, Failure, Rows, cut_at_failure
from stagerunner.tuples import NamedTuple

SHARE = Struct("<IQ")


class Share(NamedTuple):
    """What one sink gets of a frame: so many records, encoded."""

    records: int
    body: memoryview


def packed(shares: Sequence[tuple[int, bytes]]) -> bytes:
    """The body of a frame. shares: for each sink how many records, and their bytes."""
    heads = [SHARE.pack(records, len(body)) for records, body in shares]
    return b"".join((*heads, *(body for _, body in shares)))


def parted(body: memoryview, sinks: int) -> list[Share]:
    """What each of so many sinks gets of a body that `packed` made; nothing of an empty one."""
    if not len(body):
        return [Share(0, body)] * sinks
    shares, at = [], sinks * SHARE.size
    for number in range(sinks):
        records, size = SHARE.unpack_from(body, number * SHARE.size)
        shares.append(Share(records, body[at : at + size]))
        at += size
    return shares


class BranchEncoder:
    """Encodes batches for several sinks; to the way out of a worker it looks like the encoder of one.

    most: bytes from which on the results of several source records are sent in several frames.
    """

    changes = True
    """The batch has to be looked at record by record."""
    traced = False

    def __init__(self, sinks: Sequence[RecordEncoder], most: int) -> None:
        self._sinks = sinks
        self._most = most

    def plain(self, records: list[Any]) -> bytes:
        """Encode records without counting or taking out any. Raises whatever an encoder raises."""
        return packed([(len(records), sink.plain(records)) for sink in self._sinks])

    def body(self, batch: Batch, slot: Slot | None = None, quarantined: Quarantined = NOTHING) -> bytes:
        """Encode the batch's records for each sink; failures and counts of the sinks are added to the batch.

        slot, quarantined: see RecordEncoder. Raises TooLarge if the records of several source records are too large to
        be sent together.
        """
        encoded = self._encoded(batch, slot, quarantined)
        while (fatal := _fatal(views := [view for view, _ in encoded])) is not None:
            cut_at_failure(batch, fatal)
            encoded = self._encoded(batch, slot, quarantined)
        body = packed([(len(view.records), data) for view, data in encoded])
        number = len(batch.records)
        if len(body) > self._most and number and batch.origin(0) != batch.origin(number - 1):
            raise TooLarge(len(body), self._most)
        batch.failures = [*batch.failures, *(failure for view in views for failure in view.failures)]
        batch.counts += [counts for view in views for counts in view.counts]
        return body

    def _encoded(self, batch: Batch, slot: Slot | None, quarantined: Quarantined) -> list[tuple[Batch, bytes]]:
        """For each sink what it wants of the batch, and the bytes of that."""
        found = []
        for number, sink in enumerate(self._sinks):
            if slot is not None:
                slot.at_sink(number)
            records = self._addressed(number, batch)
            if sink.changes and not isinstance(records, Rows):  # the next sink must get the records as they came
                records = list(map(defensive_copy, records))
            view = Batch(records, batch.first, batch.last, batch.origins)
            found.append((view, sink.body(view, slot, quarantined)))
        return found

    def _addressed(self, number: int, batch: Batch) -> Any:
        """The records for this sink. One that is replayed may be for another sink only."""
        if isinstance(batch.records, Rows):  # none of them is replayed
            return batch.records
        if Entering not in map(type, batch.records):
            return list(batch.records)
        sink = self._sinks[number]
        sink.asks = True
        return [
            record if type(record) is not Entering else record.record if record.stage == sink.stage else ELSEWHERE
            for record in batch.records
        ]


def _fatal(views: Sequence[Batch]) -> Failure | None:
    """The first failure that ends the run."""
    failures = (failure for view in views for failure in view.failures if failure.policy == "fail")
    return min(failures, key=lambda failure: (failure.origin, failure.stage, failure.ordinal), default=None)
