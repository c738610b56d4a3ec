"""What a flush gives, cut where the parent asks for it: a flush is a split of its own, its records numbered from 0."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from stagerunner.records import Batch, Counts, Failure


def clipped(flushing: dict[int, Iterator[Batch]], split: int, first: int, last: int) -> Iterator[Batch]:
    """The batches of a flush within first ≤ i < last; what lies behind is put back for the next frame of it."""
    for batch in flushing[split]:
        rest = None
        if batch.last > last:
            batch, rest = parted(batch, last)
            flushing[split] = _chained(rest, flushing[split])
        if batch.last > first:
            yield batch if batch.first >= first else parted(batch, first)[1]
        if batch.last >= last:
            return


def parted(batch: Batch, at: int) -> tuple[Batch, Batch]:
    """A flush batch (one record or failure per number) in two, before and from number `at`, its books as well."""
    origins = [batch.origin(index) for index in range(len(batch.records))]
    here = bisect_left(origins, at)
    stage = batch.counts[0].stage
    return (
        _flush_part(
            stage, batch.records[:here], origins[:here], [f for f in batch.failures if f.origin < at], batch.first, at
        ),
        _flush_part(
            stage, batch.records[here:], origins[here:], [f for f in batch.failures if f.origin >= at], at, batch.last
        ),
    )


def _flush_part(
    stage: int, records: list[Any], origins: list[int], failures: list[Failure], first: int, last: int
) -> Batch:
    told = [failure for failure in failures if failure.policy != "fail"]
    counts = Counts(stage, created=len(records) + len(told), out=len(records))
    for failure in told:
        counts.fail(failure.policy)
    return Batch(records, first, last, origins, failures, [counts])


def _chained(head: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield head
    yield from rest
