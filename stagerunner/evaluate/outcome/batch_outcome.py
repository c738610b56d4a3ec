"""What one stage has made of a batch so far: results, origins, failures, counts, and where the batch is cut."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, compress, repeat
from typing import Any

from stagerunner.evaluate.copying import original_record
from stagerunner.evaluate.failures import HALTED, RETURNED_NONE, CallFailure, drop, retry
from stagerunner.evaluate.limits.pacing import Pause
from stagerunner.evaluate.outcome.cursor import Cursor
from stagerunner.evaluate.work import Work
from stagerunner.records import DROP, Batch, Counts, Failure, Spread, spread_counters


class BatchOutcome:
    """Collects what one stage makes of one batch. It is also the listener for the transform's `count` and `enough`.

    The loops of `forms` append to `results` and call methods for all else. `piece` makes a batch of all since the last
    piece. One result for each record needs no call. Otherwise a loop reports how many results each record gave
    (`counted=True`; `add_sizes`, `add_list`), or which records gave none (`add_none`, `drop_nones`, `fail`).

    An index is that of an incoming record in its batch; the current record is the one that the cursor gave last.
    finished: the last piece has been made. pause: that the stage's workers share. collect: makes the collection of
    results; by default a list.
    """

    __slots__ = (
        "_arrived",
        "_collect",
        "_counted",
        "_cut",
        "_enough",
        "_failed",
        "_failures",
        "_first",
        "_given",
        "_halt",
        "_has_result",
        "_no_result",
        "_noted",
        "_piece_start",
        "_sources",
        "_tells_none",
        "batch",
        "counts",
        "cursor",
        "extra",
        "finished",
        "origins",
        "pause",
        "results",
        "work",
    )

    def __init__(
        self,
        work: Work,
        batch: Batch,
        *,
        counted: bool = False,
        pause: Pause | None = None,
        collect: Callable[[], Any] = list,
    ) -> None:
        self.work = work
        self._collect = collect
        self._tells_none = bool(work.drop_reason) and not work.form.flushes  # what goes into a sum is not dropped
        self.pause = pause or Pause()
        self.batch = batch
        self.cursor = Cursor(batch.records)
        self._sources: Iterator[int] | None = None
        self._counted = counted
        self._arrived = batch.failures  # those of earlier stages that no piece has carried yet
        self._first = batch.first
        self._piece_start = 0
        self._cut: int | None = None  # the origin before which the batch ends, if it ends early
        self._halt = False
        self._enough = False
        self.finished = False
        self._start_piece()

    def _start_piece(self) -> None:
        self.results = self._collect()
        self.origins: Any = []
        self.counts = Counts(self.work.index)
        self.extra = self.counts.extra
        self._failures: list[Failure] = []
        self._no_result: list[int] = []
        self._failed: list[int] = []
        self._has_result = bytearray()
        self._given: list[tuple[Sequence[int], Sequence[int]]] = []  # as Spread.given
        self._noted: list[tuple[int, str, int]] = []  # (index of the current record, name, number) of each `count`

    @property
    def source_records(self) -> Iterator[int]:
        """The origins of the incoming records, as one iterator for the whole batch."""
        if self._sources is None:
            self._sources = iter(self.origins_of(0, len(self.batch.records)))
        return self._sources

    def enough(self) -> None:
        """The current record is the last one the stage wants."""
        self._enough = True
        self.cursor.end()

    def count(self, name: str, number: int) -> None:
        """Add to a counter of the stage, for the current record."""
        self.extra[name] = self.extra.get(name, 0) + number
        self._noted.append((self.cursor.index, name, number))

    def halt(self) -> None:
        """No further record is wanted, since the run is halted: the batch ends behind its last whole source record."""
        if not (self.halted or self.cursor.over):
            self._cut = self.batch.origin(self.cursor.index + 1)
            self._halt = True
            self.cursor.end()

    def counters(self) -> tuple[dict[str, int], int]:
        """The stage's own counters as they are now, for `rewind`."""
        return dict(self.extra), len(self._noted)

    def rewind(self, counters: tuple[dict[str, int], int], index: int, end: int) -> None:
        """Go back to these records as they came, with the counters as they were before."""
        before, noted = counters
        if self._halt:  # its records are tried one by one, and after the first the batch ends
            self._halt, self._cut = False, None
        if not self.work.form.arrow:  # a batch can't change
            self.batch.records[index:end] = self.originals(index, end)
        self._enough = False
        self.extra.clear()
        self.extra.update(before)
        del self._noted[noted:]
        self.cursor.back(index)

    @property
    def halted(self) -> bool:
        """No further record is wanted: the stage called `enough`, a failure ends the run, or the run is halted."""
        return self._enough or self._cut is not None

    @property
    def at_source_end(self) -> bool:
        """Whether a piece may end here: the next record comes from another source record."""
        index = self.cursor.index
        return not self.cursor.over and self.batch.origin(index) != self.batch.origin(index + 1)

    def origins_of(self, start: int, end: int) -> Sequence[int]:
        """The origins of the incoming records start ≤ index < end."""
        if self.batch.origins is None:
            return range(self.batch.first + start, self.batch.first + end)
        found: Sequence[int] = self.batch.origins[start:end]
        return found

    def add_sizes(self, sizes: Sequence[int | None], origins: Sequence[int]) -> None:
        """Records of these origins gave so many of `results` each; None: the record failed."""
        given = [size or 0 for size in sizes]
        self._count_sizes(sizes, given, origins)
        self.origins += chain.from_iterable(map(repeat, origins, given))

    def _count_sizes(self, sizes: Sequence[int | None], given: Sequence[int], origins: Sequence[int]) -> None:
        """given: the sizes, with 0 for records that failed."""
        without = given.count(0)
        number = len(given) - without if isinstance(given, bytes) else sum(given)  # as bytes they are 0 or 1
        failed = sizes.count(None) if isinstance(sizes, list) else 0  # bytes and arrays hold numbers only
        if without > failed or number > len(given) - without:
            self._given.append((origins, [1 if size is None else size for size in sizes] if failed else given))
        self.counts.created += number - (len(given) - without)
        self.counts.filtered += without - failed

    def add_rows(
        self, start: int, end: int, rows: Any, sizes: Sequence[int] | None = None, origins: Any = None
    ) -> None:
        """The records start ≤ index < end, passed as one batch, gave these rows.

        sizes: how many of them each gave, and origins: of each row; None if each gave one.
        """
        self.results.add(rows)
        if sizes is not None and not self._counted:
            self._count_from(start)
        if not self._counted:
            return
        if sizes is None:
            origins = self.origins_of(start, end)
        else:
            told = self.without_dropped(start, sizes)
            given = sizes if told is sizes else [size or 0 for size in told]
            self._count_sizes(told, given, self.origins_of(start, end))
        self.origins = [*self.origins, *origins] if self.origins else origins

    def _count_from(self, start: int) -> None:
        """Until the record `start` each gave one result, or failed; from there on sizes are told."""
        self._counted = True
        before = self.origins_of(self._piece_start, start)
        without = {index - self._piece_start for index in self._no_result}
        self.origins = [origin for index, origin in enumerate(before) if index not in without]

    def without_dropped(self, start: int, sizes: Sequence[int | None]) -> Sequence[int | None]:
        """The sizes of the records from `start` on, for `add_sizes`. Those that gave nothing are told as dropped."""
        if not self._tells_none or 0 not in sizes:
            return sizes
        for index, size in enumerate(sizes, start):
            if size == 0:
                self.fail(index, drop(self.work.drop_reason))
        return [size or None for size in sizes]

    def add_one(self, index: int, result: Any) -> None:
        """The record with this index gave this result."""
        self.results.append(result)
        self.origins.append(self.batch.origin(index))

    def add_list(self, start: int, end: int, found: list[Any]) -> None:
        """The records start ≤ index < end, passed as one list, gave one of `found` each: a result or None; or a list of
        results, if the form says many."""
        origins = self.origins_of(start, end)
        if self.work.form.many:
            self.results += chain.from_iterable(found)
            self.add_sizes(self.without_dropped(start, list(map(len, found))), origins)
        elif any(result is None for result in found):
            self._add_some(start, found)
        else:
            self.results += found
            self.origins += origins

    def _add_some(self, start: int, found: list[Any]) -> None:
        """The records from `start` on gave a result or None each."""
        for index, result in enumerate(found, start):
            if result is None:
                self._add_none(index)
                if self.halted:
                    return
            else:
                self.results.append(result)
                self.origins.append(self.batch.origin(index))

    def add_none(self) -> None:
        """The current record gave None: it is dropped, or has failed. Does nothing if `fail` was called for it."""
        self._add_none(self.cursor.index)

    def _add_none(self, index: int) -> None:
        if self._no_result and self._no_result[-1] == index:
            return
        if not self.work.form.drops:
            self.fail(index, RETURNED_NONE)
            return
        if self._tells_none:
            self.fail(index, drop(self.work.drop_reason))
            return
        self._no_result.append(index)
        self.counts.filtered += 1

    def drop_nones(self) -> None:
        """Every record so far gave one of `results`: remove the Nones, which drop their records."""
        without = [index for index, result in enumerate(self.results, self._piece_start) if result is None]
        if without:
            if self._tells_none:
                self._tell_dropped(without)
            self.counts.filtered += len(without) - len(self._no_result)
            self._no_result = without
            self.results = [result for result in self.results if result is not None]

    def _tell_dropped(self, without: list[int]) -> None:
        told = set(self._no_result)
        for index in without:
            if index not in told:
                self.fail(index, drop(self.work.drop_reason))

    def fail(self, index: int, call_failure: CallFailure) -> None:
        """Record this failure of a record, or that it is dropped. With the policy `fail` it cuts the batch."""
        self._no_result.append(index)
        if call_failure.type == HALTED:
            self._halt_before(index)
            return
        if call_failure.policy == DROP and not self.work.drop_reason:
            self.counts.filtered += 1
            return
        self._failed.append(index)
        failure = self._failure(index, call_failure)
        self._failures.append(failure)
        self.counts.fail(failure.policy)
        if failure.policy == "fail":
            self._cut = self.batch.origin(index)
            self.cursor.end(index)

    def _halt_before(self, index: int) -> None:
        """The run was halted while this record waited for its call: the batch ends before it."""
        self._failed.append(index)
        self.counts.not_processed += 1
        self._cut, self._halt = self.batch.origin(index), True
        self.cursor.end(index)

    def _failure(self, index: int, call_failure: CallFailure) -> Failure:
        batch, work = self.batch, self.work
        place = (work.index, batch.origin(index), batch.ordinal(index))
        return call_failure.for_record(*place, work.on_error, original_record(batch, index))

    def retry(self, call: Any, call_failure: CallFailure) -> Any:
        """Try the current record again: its result, or None after recording its failure."""
        index = self.cursor.index
        found = retry(call, lambda: original_record(self.batch, index), call_failure, self.work, self.pause)
        if isinstance(found, CallFailure):
            self.fail(index, found)
            return None
        return found

    def originals(self, start: int, end: int) -> list[Any]:
        """The records start ≤ index < end as they came, for another attempt."""
        return [original_record(self.batch, index) for index in range(start, end)]

    def piece(self) -> Batch:
        """Everything since the last piece, as a batch."""
        over = self.cursor.over and not self.cursor.paused
        if over and not (self._piece_start or self._counted or self._no_result or self.halted):
            return self._one_to_one()
        index = self.cursor.index
        last = self._last(index, over)
        origins = self._cut_origins(self._origins(index), last)
        batch = Batch(
            self._records(),
            self._first,
            last,
            None if origins is None or _one_each(origins, self._first, last) else origins,
            self._failures_before(last, over),
            self._ledger(index, over),
            over and (self._enough or self.batch.stop),
        )
        self.finished = over
        batch.halted = self._halt
        if not over:
            self._first = last
            self.cursor.resume()
            self._start_piece()
        return batch

    def _one_to_one(self) -> Batch:
        """The usual batch: each record gave one result."""
        batch, counts = self.batch, self.counts
        counts.taken = counts.out = len(self.results)
        if self._noted:
            counts.spread = self._spread(len(self.results) - 1, len(self.results))
        self.finished = True
        ledger = [*batch.counts, counts]
        return Batch(self._records(), batch.first, batch.last, batch.origins, self._arrived, ledger, batch.stop)

    def _records(self) -> Any:
        return self.results.joined() if self.work.form.arrow else self.results

    def _last(self, index: int, over: bool) -> int:
        if self._cut is not None:
            return self._cut
        return self.batch.last if over and not self._enough else self.batch.origin(index) + 1

    def _origins(self, index: int) -> Any:
        if self._counted:
            return self.origins
        if not self._no_result:
            return None if self.batch.origins is None else list(self.origins_of(self._piece_start, index + 1))
        self._has_result = self._mask(self._no_result, index)
        return list(compress(self.origins_of(self._piece_start, index + 1), self._has_result))

    def _mask(self, without: Iterable[int], index: int) -> bytearray:
        """One byte for each record since the last piece: 0 for those in `without`, else 1."""
        marks = bytearray(b"\1") * (index + 1 - self._piece_start)
        for place in without:
            marks[place - self._piece_start] = 0
        return marks

    def _cut_origins(self, origins: Any, last: int) -> Any:
        """The origins before `last`. Removes the results of the others."""
        if origins is None or self._cut is None:
            return origins
        kept = bisect_left(origins, last)
        self.counts.not_processed += len(origins) - kept
        del self.results[kept:]
        return origins[:kept]

    def _failures_before(self, last: int, over: bool) -> list[Failure]:
        """This piece's failures: those of earlier stages and our own. The rest wait for a later piece."""
        whole = over and not self.halted
        now = self._arrived if whole else [failure for failure in self._arrived if failure.origin < last]
        self._arrived = [] if whole else [failure for failure in self._arrived if failure.origin >= last]
        return now + [f for f in self._failures if f.origin < last or (f.policy == "fail" and not self._halt)]

    def _ledger(self, index: int, over: bool) -> list[Counts]:
        """Our own counts; on the last piece also those of the stages before, which are for the whole batch."""
        end = len(self.batch.records) if over else index + 1
        self.counts.taken = end - self._piece_start
        self.counts.not_processed += end - (index + 1)
        self.counts.out = len(self.results)
        self.counts.spread = self._spread(index, end)
        self._piece_start = end
        return [*(self.batch.counts if over else ()), self.counts]

    def _spread(self, index: int, end: int) -> Spread | None:
        """How the counts of this piece divide by source record; None if each record gave one result."""
        given = self._given
        if len(self._no_result) > len(self._failed):
            given = [*given, (self.origins_of(self._piece_start, index + 1), self._not_dropped(index))]
        left = [origin for origin in self.origins_of(index + 1, end) if origin <= self.batch.origin(index)]
        if not (given or left or self._noted):
            return None
        origin = self.batch.origin
        return Spread(
            given, left, spread_counters((origin(place), name, number) for place, name, number in self._noted)
        )

    def _not_dropped(self, index: int) -> bytes:
        """One byte for each record since the last piece: 0 if it was dropped, else 1."""
        if self._has_result and not self._failed:
            return bytes(self._has_result)
        failed = set(self._failed)
        return bytes(self._mask((place for place in self._no_result if place not in failed), index))


def _one_each(origins: Sequence[int], first: int, last: int) -> bool:
    return len(origins) == last - first and origins == list(range(first, last))
