"""A stage set up and applied, for every transform that is called and then done."""

from __future__ import annotations

import sys
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from stagerunner.evaluate import forms, stage_api
from stagerunner.evaluate.batch_outcome import BatchOutcome
from stagerunner.evaluate.copying import copying_results, defensive_copy, may_keep_results, no_copy
from stagerunner.evaluate.cursor import Cursor, Refusals, grouping, refusals_in
from stagerunner.evaluate.failures import failure_of
from stagerunner.evaluate.flush import flushed
from stagerunner.evaluate.growth import ResultList
from stagerunner.evaluate.loading import build
from stagerunner.evaluate.rate import Reserve, rate_limiter
from stagerunner.evaluate.work import NoSlot, Slot, Work
from stagerunner.records import Batch, QuarantineKey

Quarantined = Mapping[QuarantineKey, tuple[str, str]]
"""Records not to be called again → (type, message) of the failure to write instead."""

NO_QUARANTINE: Quarantined = {}
NO_SLOT = NoSlot()
PIECE_RECORDS = 4096


class Evaluator:
    """A stage whose transform is no `async def`; what all evaluators offer.

    watched: whether each call is noted in the slot; worth its time only where a record is suspected or has a
    deadline. turn: where the workers of a stage with a rate ask for their turns. piece_records: a piece is closed once
    it holds this many results and a source record ends. flush_until: a batch of a flush ends before this result.
    """

    def __init__(self, work: Work, slot: Slot = NO_SLOT, reserve: Reserve | None = None) -> None:
        self.work = work
        self.slot = slot
        self._limiter = rate_limiter(work.rate, reserve)
        self.watched = False
        self.piece_records = PIECE_RECORDS
        self.flush_until = sys.maxsize
        self._transform: Any = None
        self._call: Callable[[Any], Any]
        self._copy: Callable[[Any], Any]

    def build(self) -> None:
        """Import the transform and give it its options. Raises what that raises."""
        self._transform = build(self.work)
        self._copy = defensive_copy if may_keep_results(self._transform) else no_copy

    def setup(self) -> None:
        """Make ready; `build` comes first where it hasn't been called. Raises whatever the stage raises."""
        if self._transform is None:
            self.build()
        self._call_method("setup")
        self._call = (
            copying_results(self._transform_call)
            if self.simple and self._copy is defensive_copy
            else self._transform_call
        )

    def apply(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Batch:
        """One batch in, one batch out: the same range of source records, unless it is cut.

        It is cut before the source record of a failure whose policy is `fail`, and behind the one whose call said
        `enough`; the batch then has `stop`. Batches after that are the caller's to hold back.
        """
        return next(self._pieces_of(batch, quarantined, sys.maxsize))

    def pieces(self, batch: Batch, quarantined: Quarantined = NO_QUARANTINE) -> Iterator[Batch]:
        """The same in pieces, at least one. Each ends where a source record's results end; its `last` says which.

        The counts of the stages before come with the last piece.
        """
        return self._pieces_of(batch, quarantined, self.piece_records)

    @property
    def simple(self) -> bool:
        """Whether the transform is given one record at a time and gives one or none: what `whole` is for."""
        form = self.work.form
        return not (form.batch or form.many or form.awaited)

    def apply_simple(self, batch: Batch) -> list[Any] | Batch:
        """`apply` for a `single` stage, with nobody quarantined: the results alone, where each record gave one and
        nothing else was said."""
        if self.work.form.drops:
            outcome = BatchOutcome(self.work, batch)
            stage_api.call_with_listener(outcome, self._advance(outcome, {}, sys.maxsize))
            return outcome.piece()
        listener = LazyOutcome(self.work, batch)
        guarded = self.watched or self._limiter is not None
        return call_simple(self._wrapped(self._call, listener.cursor, {}) if guarded else self._call, listener)

    def flush(self, quarantined: Quarantined = NO_QUARANTINE) -> Iterator[Batch]:
        """What the stage gives after the last record, at least one batch. The origins are 0, 1, 2, …"""
        slot = self.slot if self.watched else NO_SLOT
        refused = {origin: why for (stage, origin, _), why in quarantined.items() if stage == self.work.index}
        return flushed(self.work, self._flush_results, self._copy, refused, self._flush_room, slot)

    def _flush_room(self, given: int) -> int:
        """How many more results of a flush make a batch."""
        return max(1, min(self.piece_records, self.flush_until - given))

    def snapshot(self) -> Any:
        """The stage's state as plain data; None where it takes no snapshots."""
        return self._call_method("snapshot") if self.work.form.snapshots else None

    def restore(self, data: Any) -> None:
        """Go on from a snapshot, after `setup`."""
        if self.work.form.snapshots:
            self._call_method("restore", data)

    def close(self) -> None:
        """Let the stage put its things away; nothing happens where it was never built."""
        self._call_method("close")

    def _call_method(self, method: str, *arguments: Any) -> Any:
        """Call a method of a class that has it."""
        found = getattr(self._transform, method, None) if self.work.form.built else None
        return None if found is None else self._finished(found(*arguments))

    def _finished(self, value: Any) -> Any:
        """What a method gave. Raises TypeError for an `async def`, which nothing would ever run."""
        if hasattr(value, "__await__"):
            value.close()
            raise TypeError(f"{self.work.target} has `async def` methods, but what processes records isn't `async def`")
        return value

    def _flush_results(self) -> Iterable[Any] | None:
        results: Iterable[Any] | None = self._call_method("flush")
        return results

    @property
    def _transform_call(self) -> Callable[[Any], Any]:
        """What is called for a record, or for a list of them."""
        if not self.work.form.built:
            found = self._transform
        elif self.work.form.batch:
            found = self._transform.process_batch
        else:
            found = self._transform.process
        called: Callable[[Any], Any] = found
        if self.work.stages:
            from stagerunner.evaluate.returning import entered  # only where dead letters come back

            return entered(called, self.work)
        return called

    def _pieces_of(self, batch: Batch, quarantined: Quarantined, most: int) -> Iterator[Batch]:
        outcome = BatchOutcome(self.work, batch, counted=self.work.form.many or self.work.form.batch)
        refusals = refusals_in(batch, self.work.index, quarantined) if quarantined else {}
        proceed = self._advance(outcome, refusals, most)
        while not outcome.finished:
            stage_api.call_with_listener(outcome, proceed)
            yield outcome.piece()

    def _advance(self, outcome: BatchOutcome, refusals: Refusals, most: int) -> Callable[[], None]:
        """What goes on through the batch, as far as a piece may go."""
        form, call = self.work.form, self._call
        if form.batch:
            checked = self._wrapped(forms.checking_list(call, self.work.growth, self._copy), outcome.cursor, refusals)
            return partial(forms.call_lists, checked, outcome, grouping(self.work, outcome.batch, refusals), most)
        if form.many:
            return lambda: self._expand(call, outcome, refusals, most)
        loop = forms.call_filter if form.drops else forms.call_each
        return partial(loop, self._wrapped(call, outcome.cursor, refusals), outcome)

    def _expand(self, call: forms.Call, outcome: BatchOutcome, refusals: Refusals, most: int) -> None:
        result_list = ResultList(self.work.growth, self._copy)
        forms.call_many(
            self._wrapped(forms.collecting(call, result_list), outcome.cursor, refusals),
            outcome,
            result_list,
            most,
        )

    def _wrapped(self, call: forms.Call, cursor: Cursor, refusals: Refusals) -> forms.Call:
        """The call with what is asked of it around it: nothing, as a rule."""
        if self.watched and not isinstance(self.slot, NoSlot):
            call = forms.noting_record(call, cursor, self.slot, lists=self.work.form.batch)
        if self._limiter is not None:  # outside: who waits for a turn isn't late
            call = forms.rate_limited(call, self._limiter)
        return forms.refusing(call, cursor, refusals) if refusals else call


# The usual call


_outcome_lock = allocate_lock()
"""Held while a passage is made: a transform may have threads of its own that say something."""


class LazyOutcome:
    """Hears the transform in the place of a passage that isn't made yet.

    results, rest: what there is of the results, and an iterator of the records still to come.
    """

    __slots__ = ("_batch", "_cursor", "_work", "made", "rest", "results")

    def __init__(self, work: Work, batch: Batch) -> None:
        self._work = work
        self._batch = batch
        self._cursor: Cursor | None = None
        self.rest = iter(batch.records)
        self.results: list[Any] = []
        self.made: BatchOutcome | None = None

    @property
    def cursor(self) -> Cursor:
        """Where `rest` is."""
        if self._cursor is None:
            self._cursor = Cursor(self._batch.records, self.rest)
        return self._cursor

    def outcome(self) -> BatchOutcome:
        """The passage, with the results there are and the cursor where it is."""
        with _outcome_lock:
            if self.made is None:
                outcome = BatchOutcome(self._work, self._batch)
                outcome.results, outcome.cursor = self.results, self.cursor
                self.made = outcome
        return self.made

    @property
    def extra(self) -> dict[str, int]:
        return self.outcome().extra

    def enough(self) -> None:
        self.outcome().enough()


def call_simple(call: forms.Call, listener: LazyOutcome) -> list[Any] | Batch:
    """A record in, a record out, as in `forms`: the results; or a batch of them, where there is more to tell."""
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
