"""What has become of a batch so far: results and where they come from, failures, the ledger, and where it is cut."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, repeat
from typing import Any

from stagerunner.evaluate.cursor import Cursor
from stagerunner.evaluate.own import as_it_came
from stagerunner.evaluate.policy import RETURNED_NONE, Trouble, again
from stagerunner.evaluate.work import Work
from stagerunner.records import Batch, Counts, Failure, Spread, failures_behind_cut, total


class BatchOutcome:
    """The way of one batch through one stage. It is also what hears the transform's `count` and `enough`.

    Forms add to `results` and say through the methods what else happened; `piece` makes a batch of what there is
    since the last piece. One result for each record needs no word: where records and results are not one to one,
    a form keeps `origins` beside `results` (`counted=True`), or says which records gave none (`nothing`, `lost`).
    """

    __slots__ = (
        "_arrived",
        "_begun",
        "_counted",
        "_cut",
        "_failures",
        "_first",
        "_given",
        "_lost",
        "_marks",
        "_satisfied",
        "_sources",
        "_without",
        "batch",
        "counts",
        "cursor",
        "extra",
        "finished",
        "origins",
        "results",
        "work",
    )

    def __init__(self, work: Work, batch: Batch, *, counted: bool = False) -> None:
        self.work = work
        self.batch = batch
        self.cursor = Cursor(batch.records)
        self._sources: Iterator[int] | None = None
        self._counted = counted
        self._arrived = batch.failures
        self._first = batch.first
        self._begun = 0
        self._cut: int | None = None
        self._satisfied = False
        self.finished = False
        self._open()

    def _open(self) -> None:
        self.results: list[Any] = []
        self.origins: list[int] = []
        self.counts = Counts(self.work.index)
        self.extra = self.counts.extra
        self._failures: list[Failure] = []
        self._without: list[int] = []
        self._lost: list[int] = []
        self._marks = bytearray()
        self._given: list[tuple[Sequence[int], Sequence[int]]] = []

    @property
    def sources(self) -> Iterator[int]:
        """The origins of the incoming records, to be gone through once beside them."""
        if self._sources is None:
            self._sources = iter(self.span(0, len(self.batch.records)))
        return self._sources

    def enough(self) -> None:
        self._satisfied = True
        self.cursor.end()

    def said(self) -> dict[str, int]:
        """The stage's own counters as they are now, for `unsay`."""
        return dict(self.extra)

    def unsay(self, said: dict[str, int], index: int, end: int) -> None:
        """Go back to these records, as they came: what has been said since will be said again."""
        self.batch.records[index:end] = self.group(index, end)
        self._satisfied = False
        self.extra.clear()
        self.extra.update(said)
        self.cursor.back(index)

    @property
    def halted(self) -> bool:
        """No further record is wanted: enough was said, or a failure is to end the run."""
        return self._satisfied or self._cut is not None

    @property
    def at_border(self) -> bool:
        """Whether a piece may end here: there is a next record, and it comes from another source record."""
        index = self.cursor.index
        return not self.cursor.over and self.batch.origin(index) != self.batch.origin(index + 1)

    def span(self, start: int, end: int) -> Sequence[int]:
        """The origins of the incoming records start ≤ index < end."""
        if self.batch.origins is None:
            return range(self.batch.first + start, self.batch.first + end)
        return self.batch.origins[start:end]

    def gave(self, sizes: Sequence[int | None], origins: Sequence[int]) -> None:
        """Records of these origins gave so many results each, which are in `results`; None: that record is lost."""
        given = [size or 0 for size in sizes]
        without = given.count(0)
        lost = sizes.count(None)
        if without > lost or sum(given) > len(given):
            self._given.append((origins, [1 if size is None else size for size in sizes] if lost else given))
        self.origins += chain.from_iterable(map(repeat, origins, given))
        self.counts.created += sum(given) - (len(given) - without)
        self.counts.filtered += without - lost

    def gave_list(self, start: int, end: int, found: list[Any]) -> None:
        """The records start ≤ index < end, handed over as one list, gave this list."""
        taken, given = end - start, len(found)
        if taken != given:
            self._unequal(self.batch.origin(end - 1), taken, given)
        self.results += found
        self.origins += self.span(start, end) if taken == given else [self.batch.origin(end - 1)] * given
        self.counts.created += max(0, given - taken)
        self.counts.filtered += max(0, taken - given)

    def _unequal(self, origin: int, taken: int, given: int) -> None:
        """What a list gave comes from its last record, and so does how many fewer or more there are."""
        fewer = taken - given
        self._given.append(([origin] * fewer, [0] * fewer) if fewer > 0 else ([origin], [1 - fewer]))

    def nothing(self) -> None:
        """The record handed out last gave None: it is dropped, or that is its failure, or `lost` knows already."""
        index = self.cursor.index
        if self._without and self._without[-1] == index:
            return
        if not self.work.form.drops:
            self.lost(index, RETURNED_NONE)
            return
        self._without.append(index)
        self.counts.filtered += 1

    def sift(self) -> None:
        """Each record handed out has put what it gave on the results: take out the Nones, which drop their records."""
        without = [index for index, result in enumerate(self.results, self._begun) if result is None]
        if without:
            self.counts.filtered += len(without) - len(self._without)
            self._without = without
            self.results = [result for result in self.results if result is not None]

    def lost(self, index: int, trouble: Trouble) -> None:
        """This record failed."""
        self._without.append(index)
        self._lost.append(index)
        self._failures.append(self._failure(index, trouble))
        self.counts.fail(self.work.on_error)
        if self.work.on_error == "fail":
            self._cut = self.batch.origin(index)
            self.cursor.end(index)

    def _failure(self, index: int, trouble: Trouble) -> Failure:
        batch, work = self.batch, self.work
        place = (work.index, batch.origin(index), batch.ordinal(index))
        return trouble.failure(*place, work.on_error, as_it_came(batch, index))

    def again(self, call: Any, trouble: Trouble) -> Any:
        """What a later attempt at the record handed out last gives; None where it is lost."""
        index = self.cursor.index
        outcome = again(call, lambda: as_it_came(self.batch, index), trouble, self.work)
        if isinstance(outcome, Trouble):
            self.lost(index, outcome)
            return None
        return outcome

    def group(self, start: int, end: int) -> list[Any]:
        """The records start ≤ index < end as they came, for another attempt."""
        return [as_it_came(self.batch, index) for index in range(start, end)]

    def piece(self) -> Batch:
        """Everything since the last piece, as a batch."""
        over = self.cursor.over
        if over and not (self._begun or self._counted or self._without or self.halted):
            return self._as_it_came()
        index = self.cursor.index
        last = self._last(index, over)
        origins = self._kept(self._origins(index), last)
        batch = Batch(
            self.results,
            self._first,
            last,
            None if origins is None or _one_each(origins, self._first, last) else origins,
            self._failures_before(last, over),
            self._ledger(index, over),
            over and (self._satisfied or self.batch.stop),
        )
        self.finished = over
        if not over:
            self._first = last
            self._open()
        return batch

    def _as_it_came(self) -> Batch:
        """The usual batch: each record gave one result."""
        batch, counts = self.batch, self.counts
        counts.taken = counts.out = len(self.results)
        self.finished = True
        ledger = [*batch.counts, counts]
        return Batch(self.results, batch.first, batch.last, batch.origins, self._arrived, ledger, batch.stop)

    def _last(self, index: int, over: bool) -> int:
        if self._cut is not None:
            return self._cut
        return self.batch.last if over and not self._satisfied else self.batch.origin(index) + 1

    def _origins(self, index: int) -> list[int] | None:
        if self._counted:
            return self.origins
        if not self._without:
            return None if self.batch.origins is None else list(self.span(self._begun, index + 1))
        self._marks = self._marked(self._without, index)
        return list(compress(self.span(self._begun, index + 1), self._marks))

    def _marked(self, without: Iterable[int], index: int) -> bytearray:
        """For each record since the last piece, whether it is not among these."""
        marks = bytearray(b"\1") * (index + 1 - self._begun)
        for place in without:
            marks[place - self._begun] = 0
        return marks

    def _kept(self, origins: list[int] | None, last: int) -> list[int] | None:
        """The origins before `last`; with the others go their results."""
        if origins is None or self._cut is None:
            return origins
        kept = bisect_left(origins, last)
        self.counts.not_processed += len(origins) - kept
        del self.results[kept:]
        return origins[:kept]

    def _failures_before(self, last: int, over: bool) -> list[Failure]:
        """Those that came with the batch and belong to this piece, and our own."""
        whole = over and not self.halted
        now = self._arrived if whole else [failure for failure in self._arrived if failure.origin < last]
        self._arrived = [] if whole else [failure for failure in self._arrived if failure.origin >= last]
        return now + self._failures

    def _ledger(self, index: int, over: bool) -> list[Counts]:
        """Our own counts; with the last piece those of the stages before, which tell of the whole batch."""
        end = len(self.batch.records) if over else index + 1
        self.counts.taken = end - self._begun
        self.counts.not_processed += end - (index + 1)
        self.counts.out = len(self.results)
        self.counts.spread = self._spread(index, end)
        self._begun = end
        return [*(relieved(self.batch.counts, self._arrived) if over else ()), self.counts]

    def _spread(self, index: int, end: int) -> Spread | None:
        """Which source records the counts of this piece come from, where they are not one for each."""
        given = self._given
        if len(self._without) > len(self._lost):
            given = [*given, (self.span(self._begun, index + 1), self._dropped(index))]
        left = [origin for origin in self.span(index + 1, end) if origin <= self.batch.origin(index)]
        return Spread(given, left) if given or left else None

    def _dropped(self, index: int) -> bytes:
        """For each record since the last piece, whether it was not dropped."""
        if self._marks and not self._lost:
            return bytes(self._marks)
        lost = set(self._lost)
        return bytes(self._marked((place for place in self._without if place not in lost), index))


def _one_each(origins: list[int], first: int, last: int) -> bool:
    return len(origins) == last - first and origins == list(range(first, last))


def relieved(counts: list[Counts], dropped: Iterable[Failure]) -> list[Counts]:
    """The counts without these failures, which lie behind the cut."""
    moved = failures_behind_cut(dropped)
    return list(total([*counts, *moved]).values()) if moved else counts
