"""The evaluator of a stage: sets its transform up and applies it to batches.

    evaluator = make_evaluator(work)          (async_evaluator: also for `async def`)
    evaluator.setup()
    for piece in evaluator.pieces(batch): …
    evaluator.close()

`forms` has the loops that call the transform, `batch_outcome` collects what the calls give.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from stagerunner.evaluate import forms, stage_api
from stagerunner.evaluate.copying import copying_results, defensive_copy, may_keep_results, no_copy
from stagerunner.evaluate.failures import failure_of
from stagerunner.evaluate.flush import as_iterator, flush_batches
from stagerunner.evaluate.limits.budget import Budget, Words, own_words
from stagerunner.evaluate.limits.pacing import Pacer, Pause, Reserve, rate_limiter
from stagerunner.evaluate.loading import build
from stagerunner.evaluate.outcome.batch_outcome import BatchOutcome
from stagerunner.evaluate.outcome.cursor import Cursor, Quarantined, Refusals, grouping, refusals_in
from stagerunner.evaluate.outcome.growth import ResultList
from stagerunner.evaluate.outcome.slices import Slices
from stagerunner.evaluate.work import NoSlot, Slot, Work
from stagerunner.records import Batch
from stagerunner.tuples import NamedTuple

if TYPE_CHECKING:
    from stagerunner.evaluate.conditions.passing import Passing
    from stagerunner.evaluate.memos.memo import Memo
    from stagerunner.evaluate.memos.recall import Recall

NO_QUARANTINE: Quarantined = {}
NO_SLOT = NoSlot()
PIECE_RECORDS = 4096
"""Results after which a piece ends."""


class Shared(NamedTuple):
    """What all workers of a stage share.

    reserve: reserves the time of the next call, if the stage has a rate. pause: see `pacing`. words: what
    each has spent, if the stage has a budget; see `budget`.
    """

    reserve: Reserve | None = None
    pause: Pause | None = None
    words: Words | None = None


class Evaluator:
    """Evaluates a stage whose transform isn't `async def`. AsyncEvaluator has the same methods.

    watched: note each call in the slot, and end pieces by time. It costs time, so set it only where a record is
    suspected, has a deadline or is slow.
    singly: records are suspected, so a transform of lists without state is given lists of one.
    shared: what all workers of the stage share; by default it has one.
    halted: whether the run is halted; a watched stage then cuts the batch, at once if its records are `dear`.
    piece_records: a piece ends at the first end of a source record after this many results.
    flush_until: a batch of a flush ends before the result with this number.
    """

    def __init__(
        self,
        work: Work,
        slot: Slot = NO_SLOT,
        shared: Shared | None = None,
    ) -> None:
        self.work = work
        self.slot = slot
        shared = shared or Shared()
        self._pause = shared.pause or Pause()
        self._pacer = Pacer(rate_limiter(work.rate, shared.reserve), self._pause)
        self._pause.halted = lambda: self.halted()
        self.watched = self.singly = self.dear = False
        self.halted: Callable[[], bool] = bool
        self.piece_records = PIECE_RECORDS
        self.flush_until = sys.maxsize
        self._transform: Any = None
        self._memo: Memo | None = None
        self._passing: Passing | None = None
        self._budget = None if work.budget is None else Budget(work.budget, shared.words or own_words(work.budget))
        self._wraps = bool(work.rate is not None or work.memo or work.budget or work.when)
        """Whether each call of the stage has something around it."""
        self._call: Callable[[Any], Any]
        self._copy: Callable[[Any], Any]

    def build(self) -> None:
        """Import the transform and pass it its options. Raises what the import and the constructor raise."""
        self._memo = memo_of(self.work)
        self._passing = passing_of(self.work)
        self._transform = build(self.work)
        self._copy = defensive_copy if may_keep_results(self._transform) else no_copy

    def setup(self) -> None:
        """Build the transform, unless `build` was called, and call its `setup`. Raises whatever the stage raises."""
        if self._transform is None:
            self.build()
        self._call_method("setup")
        call = self._transform_call()
        self._call = copying_results(call) if self.simple and self._copy is defensive_copy else call
        if self._memo is not None:
            self._memo.start()

    def apply(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Batch:
        """Apply the stage to a batch. The result stands for the same source records, unless it is cut.

        It is cut before the source record of a failure whose policy is `fail`, and after the one whose call said
        `enough`; then its `stop` is set. The caller must not send any batch after it.
        """
        return next(self._pieces_of(batch, quarantined))

    def pieces(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Iterator[Batch]:
        """`apply` in pieces, at least one. A piece ends at the end of a source record; its `last` says at which.

        It ends after `piece_records` results, and while the stage is watched also SLICE after it began.
        """
        slices = Slices(self.halted, dear=self.dear) if self.watched else None
        return self._pieces_of(batch, quarantined, self.piece_records, slices)

    @property
    def simple(self) -> bool:
        """Whether the transform takes one record and returns one or None; then `apply_simple` may be called."""
        form = self.work.form
        return not (form.batch or form.many or form.awaited)

    def apply_simple(self, batch: Batch) -> list[Any] | Batch:
        """`apply` for a simple stage and a batch without quarantined records.

        Returns the list of results if each record gave one and the stage neither counted nor stopped; else a batch.
        """
        if self.work.form.drops:
            outcome = BatchOutcome(self.work, batch, pause=self._pause)
            stage_api.call_with_listener(outcome, self._loop_over(outcome, {}, sys.maxsize))
            return outcome.piece()
        listener = LazyOutcome(self.work, batch, self._pause)
        pause, call = self._pause, self._call
        if self.watched or self._wraps or pause.words[pause.place]:
            call = self._wrapped(call, listener.cursor, {})
        return call_simple(call, listener)

    def flush(self, quarantined: Quarantined = NO_QUARANTINE) -> Iterator[Batch]:
        """What the stage's `flush` gives after the last record, as at least one batch. Its origins are 0, 1, 2, …"""
        slot = self.slot if self.watched else NO_SLOT
        refused = {origin: why for (stage, origin, _), why in quarantined.items() if stage == self.work.index}
        size, budget = self._flush_batch_size, self._budget
        return flush_batches(self.work, self._flush_results, self._copy, refused, size, slot, budget)

    def _flush_batch_size(self, given: int) -> int:
        """How many results the next batch of a flush may hold, after `given` results."""
        return max(1, min(self.piece_records, self.flush_until - given))

    def snapshot(self) -> Any:
        """The stage's state as plain data; None if the stage has no `snapshot`."""
        return self._call_method("snapshot") if self.work.form.snapshots else None

    def restore(self, data: Any) -> None:
        """Continue from a snapshot. Call it after `setup`."""
        if self.work.form.snapshots:
            self._call_method("restore", data)

    def close(self) -> None:
        """Call the stage's `close`, if the stage was built and has one."""
        if self._memo is not None:
            self._memo.close()
        if self._budget is not None:
            self._budget.close()
        self._call_method("close")

    def _call_method(self, method: str, *arguments: Any) -> Any:
        """Call this method if the transform is a class that has it; else return None."""
        found = getattr(self._transform, method, None) if self.work.form.built else None
        return None if found is None else self._resolve(found(*arguments))

    def _resolve(self, value: Any) -> Any:
        """What a method returned. Raises TypeError for a coroutine: no event loop would run it."""
        if hasattr(value, "__await__"):
            value.close()
            raise TypeError(f"{self.work.target} has `async def` methods, but its `process` isn't `async def`")
        return value

    def _flush_results(self) -> Iterable[Any] | None:
        results: Iterable[Any] | None = self._call_method("flush")
        if self.work.form.arrow:
            from stagerunner.evaluate.arrow.calling import flushed

            return flushed(as_iterator(results))
        return results

    def _transform_call(self) -> Callable[[Any], Any]:
        """The function to call with a record, or with a list of records."""
        if not self.work.form.built:
            found = self._transform
        elif self.work.form.batch:
            found = self._transform.process_batch
        else:
            found = self._transform.process
        called: Callable[[Any], Any] = found
        if self.work.stages and not self.work.form.arrow:
            from stagerunner.evaluate.dead_letters.returning import with_entering  # a late import: only replays need it

            return with_entering(called, self.work)
        return called

    def _pieces_of(
        self, batch: Batch, quarantined: Quarantined, most: int = sys.maxsize, slices: Slices | None = None
    ) -> Iterator[Batch]:
        outcome = self._outcome_of(batch)
        refusals = refusals_in(batch, self.work.index, quarantined) if quarantined else {}
        advance = self._loop_over(outcome, refusals, most, slices)
        while not outcome.finished:
            if slices is not None:
                slices.begin(outcome)
            stage_api.call_with_listener(outcome, advance)
            piece = outcome.piece()
            piece.final = batch.final and outcome.finished
            yield piece

    def _outcome_of(self, batch: Batch) -> BatchOutcome:
        form = self.work.form
        if form.arrow:
            from stagerunner.evaluate.arrow.calling import Collected  # late, here and below: it imports pyarrow

            return BatchOutcome(self.work, batch, pause=self._pause, collect=Collected)
        return BatchOutcome(self.work, batch, counted=form.many or form.batch, pause=self._pause)

    def _loop_over(
        self, outcome: BatchOutcome, refusals: Refusals, most: int, slices: Slices | None = None
    ) -> Callable[[], None]:
        """A function that calls the transform until the batch or a piece ends: after `most` results, or a slice."""
        form, call = self.work.form, self._call
        if form.arrow:
            from stagerunner.evaluate.arrow.calling import call_batches, checking, letting_enter

            checked = self._wrapped(checking(call), outcome.cursor, refusals)
            if self.work.stages:
                checked = letting_enter(checked, self.work)
            sliced = checked if slices is None else slices.around(checked, outcome)
            groups = grouping(self.work, outcome.batch, refusals, singly=self.singly)
            return partial(call_batches, sliced, outcome, groups, most)
        if form.batch:
            checked = self._wrapped(forms.checking_list(call, self.work, self._copy), outcome.cursor, refusals)
            sliced = checked if slices is None else slices.around(checked, outcome)
            groups = grouping(self.work, outcome.batch, refusals, singly=self.singly)
            return partial(forms.call_lists, sliced, outcome, groups, most)
        if form.many:
            return lambda: self._expand(call, outcome, refusals, most, slices)
        loop = forms.call_filter if form.drops else forms.call_each
        wrapped = self._wrapped(call, outcome.cursor, refusals)
        return partial(loop, wrapped if slices is None else slices.around(wrapped, outcome), outcome)

    def _expand(
        self, call: forms.Call, outcome: BatchOutcome, refusals: Refusals, most: int, slices: Slices | None
    ) -> None:
        results = ResultList(self.work.growth, self._copy)
        wrapped = self._wrapped(forms.collecting(call, results), outcome.cursor, refusals, results)
        forms.call_many(wrapped if slices is None else slices.around(wrapped, outcome), outcome, results, most)

    def _wrapped(
        self, call: forms.Call, cursor: Cursor, refusals: Refusals, many: ResultList | None = None
    ) -> forms.Call:
        """The call with a slot, pacing, memo and quarantines around it where there are any; usually the call itself.

        many: the list that the call adds to, if it adds to one.

        Among stages without a rate, quick ones look for a pause only once there was one: looking costs more than they
        do.
        """
        if self.watched and not isinstance(self.slot, NoSlot):
            call = forms.noting_record(call, cursor, self.slot, lists=self.work.form.batch)
        if self._budget is not None:
            call = self._budget.around(call)
        if self.watched or self._paced:  # around the slot: waiting must not count against the deadline
            call = forms.paced(call, self._pacer)
        if self._memo is not None and not self.work.form.batch:  # around the pacing: a hit has to wait for nothing
            call = self._memo.around(call, many)
        if self._passing is not None:
            call = self._let_pass(self._passing, call, many)
        return forms.refusing(call, cursor, refusals) if refusals else call

    def _let_pass(self, passing: Passing, call: forms.Call, many: ResultList | None) -> forms.Call:
        """The call for the records that `when` doesn't let pass."""
        if many is not None:
            return passing.collecting(call, many)
        if self.work.form.arrow:
            from stagerunner.evaluate.arrow.calling import letting_pass

            return letting_pass(passing, call)
        return passing.lists(call) if self.work.form.batch else passing.one(call)

    @property
    def _paced(self) -> bool:
        """Whether each call has to look when it may begin."""
        return self.work.rate is not None or self._pause.used


def recall_of(memo: Memo | None) -> Recall | None:
    """The memo of a stage whose records wait in `Gathering`."""
    if memo is None:
        return None
    from stagerunner.evaluate.memos.recall import Recall  # as below

    return Recall(memo)


def memo_of(work: Work) -> Memo | None:
    """The memo of a stage that has one."""
    if work.memo is None:
        return None
    from stagerunner.evaluate.memos.memo import Memo  # late: SQLite and hashing, which few stages need

    return Memo(work, work.memo)


def passing_of(work: Work) -> Passing | None:
    """Which records pass a stage that has a `when`."""
    if not work.when:
        return None
    from stagerunner.evaluate.conditions.passing import Passing  # late: parses expressions, which few stages need

    return Passing(work)


# The fast path: no BatchOutcome while there is nothing to record but results


_outcome_lock = allocate_lock()
"""Held while a BatchOutcome is made: threads of the transform may call `count` at the same time."""


class LazyOutcome:
    """Makes a BatchOutcome when something other than a result has to be recorded; usually never.

    It is the listener for `count` and `enough`. results: so far. rest: an iterator of the records still to come.
    made: the outcome, once it exists.
    """

    __slots__ = ("_batch", "_cursor", "_pause", "_work", "made", "rest", "results")

    def __init__(self, work: Work, batch: Batch, pause: Pause) -> None:
        self._work = work
        self._batch = batch
        self._pause = pause
        self._cursor: Cursor | None = None
        self.rest = iter(batch.records)
        self.results: list[Any] = []
        self.made: BatchOutcome | None = None

    @property
    def cursor(self) -> Cursor:
        """The position of `rest` in the batch."""
        if self._cursor is None:
            self._cursor = Cursor(self._batch.records, self.rest)
        return self._cursor

    def outcome(self) -> BatchOutcome:
        """The BatchOutcome, with the results so far and the cursor at the current record."""
        with _outcome_lock:
            if self.made is None:
                outcome = BatchOutcome(self._work, self._batch, pause=self._pause)
                outcome.results, outcome.cursor = self.results, self.cursor
                self.made = outcome
        return self.made

    def count(self, name: str, number: int) -> None:
        self.outcome().count(name, number)

    def enough(self) -> None:
        self.outcome().enough()


def call_simple(call: forms.Call, listener: LazyOutcome) -> list[Any] | Batch:
    """`forms.call_each` without a BatchOutcome. Returns the results, or a batch if there is more to record."""
    results = listener.results
    token = stage_api.current.set(listener)
    try:
        for record in listener.rest:
            try:
                result = call(record)
            except BaseException as error:
                result = listener.outcome().retry(call, failure_of(error))
            if result is None:
                listener.outcome().add_none()
            else:
                results.append(result)
    finally:
        stage_api.current.reset(token)
    return results if listener.made is None else listener.made.piece()
