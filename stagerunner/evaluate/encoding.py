"""What leaves a worker: records become the body of a frame, for the sink or for the next worker.

A record that can't be encoded becomes a failure. Which one it is, is found out only once the whole can't be encoded.
"""

from __future__ import annotations

import pickle
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import compress
from typing import Any, Protocol

from stagerunner.evaluate.copying import (
    original_of,
    original_record,
)
from stagerunner.evaluate.failures import Refusal, failure_of
from stagerunner.evaluate.outcome.cursor import Quarantined
from stagerunner.evaluate.outcome.growth import TooLarge, limited
from stagerunner.evaluate.wording import text_of
from stagerunner.evaluate.work import Slot
from stagerunner.records import (
    NOTHING,
    WHOLE,
    Batch,
    Counts,
    Failure,
    Rows,
    Spread,
    cut_at_failure,
)

ELSEWHERE = object()
"""Stands for a record that only another sink gets."""


class BodyEncoder(Protocol):
    """What makes the bodies of frames. changes: encoding may change the records, or what there is to say of them.
    traced: the body says which records it has, so it needs their batch."""

    changes: bool
    traced: bool

    def plain(self, records: list[Any]) -> Any: ...
    def body(self, batch: Batch, slot: Slot | None = None, quarantined: Quarantined = NOTHING) -> Any: ...


class RecordEncoder:
    """Encodes batches, for the sink or for the next worker; a record that can't be encoded becomes a failure.

    Between workers the encoder is pickle, and such a failure belongs to the stage that the record leaves.
    stage: the index under which failures are counted. counted: count the records as taken and out; for the sink.
    changes: the encoder may change the records, so their originals are kept for another attempt.
    begun: called once with the first records that are encoded, from which a sink takes its columns.
    when: the sink's condition. Records for which it doesn't hold are taken out and counted as filtered.
    most: the bytes of a body; more raise TooLarge. dicts: the encoder takes a list, so Rows become one.
    """

    traced = False

    def __init__(
        self,
        encode: Callable[[Any], Any],
        stage: int,
        on_error: str,
        *,
        counted: bool,
        changes: bool = False,
        begun: Callable[[Any], None] | None = None,
        when: Callable[[Any], Any] | None = None,
        most: int = sys.maxsize,
        dicts: bool = False,
    ) -> None:
        self._when = when
        self.asks = when is not None
        """Whether some records may not be wanted."""
        self._begun = begun
        self.whole = encode if begun is None else None
        """What encodes a list of records where nothing else has to be done with them; else None. See `plain`."""
        self._of_list, self.most = encode, most
        self._encode = _of_dicts(encode) if dicts else encode
        if most < sys.maxsize:
            self._encode = limited(self._encode, most)
        self.stage = stage
        self._on_error = on_error
        self._counted = counted
        self.changes = changes

    def plain(self, records: list[Any]) -> Any:
        """Encode records without counting or taking out any. Raises whatever the encoder raises, and TooLarge."""
        body = self._of_list(records)
        if len(body) > self.most:
            raise TooLarge(len(body), self.most)
        if self._begun is not None:
            self._begin(records)
        return body

    def body(self, batch: Batch, slot: Slot | None = None, quarantined: Quarantined = NOTHING) -> Any:
        """Encode the batch's records. Those that can't be encoded become failures of the batch.

        slot: if one record is suspected, each is first encoded alone and noted here. quarantined: records that must not
        be encoded. Raises TooLarge if the records of several source records are too large to be sent together.
        """
        if slot is not None or quarantined:
            self._check_each(batch, slot, quarantined)
        if self.asks:
            self._pass_over(batch)
        number = len(batch.records)
        batch.original = original_of(batch.records) if self.changes else None
        too_large: TooLarge | None = None
        try:
            body = self._encode(batch.records)
        except TooLarge as error:
            if number and batch.origin(0) != batch.origin(number - 1):
                batch.records = _originals(batch)
                raise
            encoded, too_large = False, error
        except BaseException:  # which records it comes from, `_errors` finds out
            encoded = False
        else:
            encoded = True
        self._count(batch)
        if encoded:
            self._begin(batch.records)
            return body
        # Outside the except block: else this error would become the context of each record's own error.
        self._take_out(batch, self._errors(batch) if too_large is None else dict.fromkeys(range(number), too_large))
        return self._rest(batch)

    def _check_each(self, batch: Batch, slot: Slot | None, quarantined: Quarantined) -> None:
        """Take out the quarantined records, and those that can't be encoded alone."""
        refused = {place[1:]: Refusal(*why) for place, why in quarantined.items() if place[0] == self.stage}
        bad: dict[int, BaseException] = {}
        batch.original = original_of(batch.records) if self.changes else None
        records = _originals(batch)
        for index in range(len(records)):
            origin = batch.origin(index)
            error: BaseException | None = refused.get((origin, batch.ordinal(index))) or refused.get((origin, WHOLE))
            if error is None and slot is not None:
                slot.enter(index)
                error = self._error(records[index : index + 1])
                slot.leave()
            if error is not None:
                bad[index] = error
        batch.records = _originals(batch)
        self._refuse(batch, bad)

    def _refuse(self, batch: Batch, bad: Mapping[int, BaseException]) -> None:
        """Count these records, and turn them into failures."""
        if bad:
            if self._counted:
                batch.counts.append(Counts(self.stage, taken=len(bad), out=len(bad)))
            self._take_out(batch, bad)

    def _pass_over(self, batch: Batch) -> None:
        """Take out the records that the sink doesn't want. Those for which its condition fails become failures."""
        bad: dict[int, BaseException] = {}
        wanted = []
        for index, record in enumerate(batch.records):
            try:
                wanted.append(bool(self._wants(record)))
            except BaseException as error:
                bad[index] = error
                wanted.append(True)
        passed = [batch.origin(index) for index, stays in enumerate(wanted) if not stays]
        self._refuse(batch, bad)
        if not passed:
            return
        here = [stays for index, stays in enumerate(wanted) if index not in bad][: len(batch.records)]
        batch.origins = [batch.origin(index) for index, stays in enumerate(here) if stays]
        kept = compress(range(len(here)), here) if isinstance(batch.records, Rows) else compress(batch.records, here)
        batch.records = batch.records.take(kept) if isinstance(batch.records, Rows) else list(kept)
        counts = Counts(self.stage, taken=len(passed), filtered=len(passed))
        counts.spread = Spread([(passed, [0] * len(passed))])
        batch.counts.append(counts)

    def _wants(self, record: Any) -> bool:
        """Whether the sink's condition holds. Raises what its expression raises."""
        return record is not ELSEWHERE and (self._when is None or bool(self._when(record)))

    def _rest(self, batch: Batch) -> Any:
        """The body of the records that are left; of none if they can't be encoded together either."""
        records = batch.records
        try:
            return self._encode(_originals(batch))
        except BaseException as error:
            cause = error
        self._take_out(batch, dict.fromkeys(range(len(records)), cause))
        return self._encode(batch.records)

    def _count(self, batch: Batch) -> None:
        if self._counted:
            batch.counts.append(Counts(self.stage, taken=len(batch.records), out=len(batch.records)))

    def _begin(self, records: Any) -> None:
        """Call `begun` with the first records that are ever encoded."""
        if self._begun is not None and records:
            begun, self._begun = self._begun, None
            begun(records)
            self.whole = self._of_list

    def _errors(self, batch: Batch) -> dict[int, BaseException]:
        """The errors of the records that can't be encoded alone, by index."""
        records = _originals(batch)
        if isinstance(records, Rows):
            return dict(self._errors_within(records, 0, len(records)))
        return {index: error for index, record in enumerate(records) if (error := self._error([record]))}

    def _errors_within(self, rows: Rows, start: int, end: int) -> Iterator[tuple[int, BaseException]]:
        """The same for the rows start ≤ index < end, which can't be encoded together: there may be very many."""
        if (error := self._error(rows[start:end])) is None:
            return
        if end - start < 2:
            yield start, error
            return
        middle = (start + end) // 2
        yield from self._errors_within(rows, start, middle)
        yield from self._errors_within(rows, middle, end)

    def _take_out(self, batch: Batch, bad: Mapping[int, BaseException]) -> None:
        """Turn these records into failures of the batch. bad: index → error."""
        failures = [self._failure(batch, index, error) for index, error in bad.items()]
        good = [index for index in range(len(batch.records)) if index not in bad]
        batch.failures = batch.failures + failures
        batch.origins = [batch.origin(index) for index in good]
        records = _originals(batch)
        kept = records.take(good) if isinstance(records, Rows) else [records[index] for index in good]
        batch.records, batch.original = kept, None
        if self.changes:
            batch.original = original_of(batch.records)
        counts = Counts(self.stage, out=-len(bad))
        counts.fail(self._on_error, len(bad))
        batch.counts.append(counts)
        if failures and self._on_error == "fail":
            cut_at_failure(batch, failures[0])

    def _error(self, records: Any) -> BaseException | None:
        try:
            if self.asks and len(records) == 1 and not self._wants(records[0]):  # of many all are known to be wanted
                return None
            self._encode(records)
        except BaseException as error:
            return error
        self._begin(records)
        return None

    def _failure(self, batch: Batch, index: int, error: BaseException) -> Failure:
        call_failure = failure_of(error, may_drop=False)
        if not self._counted and not isinstance(error, TooLarge):
            call_failure = call_failure._replace(message=f"its result can't be sent on: {call_failure.message}")
        if not self._counted:
            batch, index = _made_from(batch, index)
        record = original_record(batch, index)
        place = (self.stage, batch.origin(index), batch.ordinal(index))
        failure = call_failure.for_record(*place, self._on_error, record)
        if isinstance(error, TooLarge) and len(pickled(record)) > error.most:  # too large for a failure too
            return failure._replace(record=None, text=text_of(record))
        return failure


def _of_dicts(encode: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    """The encoding of a sink that takes records as a list."""
    return lambda records: encode(records.to_list() if isinstance(records, Rows) else records)


def pickled(record: Any) -> bytes:
    """The record's pickle; empty if it can't be pickled."""
    try:
        return pickle.dumps(record, 5)
    except BaseException:
        return b""


def _originals(batch: Batch) -> Any:
    """The records as they came, for another attempt."""
    if batch.original is None or isinstance(batch.records, Rows):
        return batch.records
    return [original_record(batch, index) for index in range(len(batch.records))]


def _made_from(batch: Batch, index: int) -> tuple[Batch, int]:
    """The batch and index of the record from which a stage has made this one; if several have its origin, one of them.

    The record itself if that isn't known, as in a flush.
    """
    before = batch.before
    if before is None:
        return batch, index
    origin, number = batch.origin(index), len(before.records)
    if before.origins is None:
        start, end = origin - before.first, origin - before.first + 1
    else:
        start, end = bisect_left(before.origins, origin), bisect_right(before.origins, origin)
    if not 0 <= start < end <= number:
        return batch, index
    return before, min(start + batch.ordinal(index), end - 1)
