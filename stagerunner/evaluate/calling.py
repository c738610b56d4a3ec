"""A stage set up and applied, for every transform that is called and then done."""

from __future__ import annotations

import sys
from _thread import allocate_lock
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from stagerunner.evaluate import ambient, forms
from stagerunner.evaluate.batches import BatchOutcome
from stagerunner.evaluate.cursor import Cursor, Refusals, grouping, refusals_in
from stagerunner.evaluate.flushing import flushed
from stagerunner.evaluate.growth import Pile
from stagerunner.evaluate.loading import build
from stagerunner.evaluate.own import giving, itself, keeps, own
from stagerunner.evaluate.pace import Turn, pace_of
from stagerunner.evaluate.policy import trouble_of
from stagerunner.evaluate.work import NoSlot, Slot, Work
from stagerunner.records import Batch, QuarantineKey

Quarantined = Mapping[QuarantineKey, tuple[str, str]]
"""Records not to be called again → (type, message) of the failure to write instead."""

NOBODY: Quarantined = {}
NO_SLOT = NoSlot()
PIECE_RECORDS = 4096


class Evaluator:
    """A stage whose transform is no `async def`; what all evaluators offer.

    watched: whether each call is noted in the slot; worth its time only where a record is suspected or has a
    deadline. turn: where the workers of a stage with a rate ask for their turns. piece_records: a piece is closed once
    it holds this many results and a source record ends. flush_until: a batch of a flush ends before this result.
    """

    def __init__(self, work: Work, slot: Slot = NO_SLOT, turn: Turn | None = None) -> None:
        self.work = work
        self.slot = slot
        self._pace = pace_of(work.rate, turn)
        self.watched = False
        self.piece_records = PIECE_RECORDS
        self.flush_until = sys.maxsize
        self._transform: Any = None
        self._call: Callable[[Any], Any]
        self._own: Callable[[Any], Any]

    def build(self) -> None:
        """Import the transform and give it its options. Raises what that raises."""
        self._transform = build(self.work)
        self._own = own if keeps(self._transform) else itself

    def setup(self) -> None:
        """Make ready; `build` comes first where it hasn't been called. Raises whatever the stage raises."""
        if self._transform is None:
            self.build()
        self._tell("setup")
        self._call = giving(self._bare) if self.single and self._own is own else self._bare

    def apply(self, batch: Batch, quarantined: Quarantined = NOBODY) -> Batch:
        """One batch in, one batch out: the same range of source records, unless it is cut.

        It is cut before the source record of a failure whose policy is `fail`, and behind the one whose call said
        `enough`; the batch then has `stop`. Batches after that are the caller's to hold back.
        """
        return next(self._passing(batch, quarantined, sys.maxsize))

    def pieces(self, batch: Batch, quarantined: Quarantined = NOBODY) -> Iterator[Batch]:
        """The same in pieces, at least one. Each ends where a source record's results end; its `last` says which.

        The counts of the stages before come with the last piece.
        """
        return self._passing(batch, quarantined, self.piece_records)

    @property
    def single(self) -> bool:
        """Whether the transform is given one record at a time and gives one or none: what `whole` is for."""
        form = self.work.form
        return not (form.batch or form.many or form.awaited)

    def whole(self, batch: Batch) -> list[Any] | Batch:
        """`apply` for a `single` stage, with nobody quarantined: the results alone, where each record gave one and
        nothing else was said."""
        if self.work.form.drops:
            batch_outcome = BatchOutcome(self.work, batch)
            ambient.heard_by(batch_outcome, self._way(batch_outcome, {}, sys.maxsize))
            return batch_outcome.piece()
        listener = Undisturbed(self.work, batch)
        guarded = self.watched or self._pace is not None
        return one_each(self._guarded(self._call, listener.cursor, {}) if guarded else self._call, listener)

    def flush(self, quarantined: Quarantined = NOBODY) -> Iterator[Batch]:
        """What the stage gives after the last record, at least one batch. The origins are 0, 1, 2, …"""
        slot = self.slot if self.watched else NO_SLOT
        refused = {origin: why for (stage, origin, _), why in quarantined.items() if stage == self.work.index}
        return flushed(self.work, self._flush_results, self._own, refused, self._flush_room, slot)

    def _flush_room(self, given: int) -> int:
        """How many more results of a flush make a batch."""
        return max(1, min(self.piece_records, self.flush_until - given))

    def snapshot(self) -> Any:
        """The stage's state as plain data; None where it takes no snapshots."""
        return self._tell("snapshot") if self.work.form.snapshots else None

    def restore(self, data: Any) -> None:
        """Go on from a snapshot, after `setup`."""
        if self.work.form.snapshots:
            self._tell("restore", data)

    def close(self) -> None:
        """Let the stage put its things away; nothing happens where it was never built."""
        self._tell("close")

    def _tell(self, method: str, *arguments: Any) -> Any:
        """Call a method of a class that has it."""
        found = getattr(self._transform, method, None) if self.work.form.built else None
        return None if found is None else self._settled(found(*arguments))

    def _settled(self, value: Any) -> Any:
        """What a method gave. Raises TypeError for an `async def`, which nothing would ever run."""
        if hasattr(value, "__await__"):
            value.close()
            raise TypeError(f"{self.work.target} has `async def` methods, but what processes records isn't `async def`")
        return value

    def _flush_results(self) -> Iterable[Any] | None:
        results: Iterable[Any] | None = self._tell("flush")
        return results

    @property
    def _bare(self) -> Callable[[Any], Any]:
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

    def _passing(self, batch: Batch, quarantined: Quarantined, most: int) -> Iterator[Batch]:
        batch_outcome = BatchOutcome(self.work, batch, counted=self.work.form.many or self.work.form.batch)
        refusals = refusals_in(batch, self.work.index, quarantined) if quarantined else {}
        proceed = self._way(batch_outcome, refusals, most)
        while not batch_outcome.finished:
            ambient.heard_by(batch_outcome, proceed)
            yield batch_outcome.piece()

    def _way(self, batch_outcome: BatchOutcome, refusals: Refusals, most: int) -> Callable[[], None]:
        """What goes on through the batch, as far as a piece may go."""
        form, call = self.work.form, self._call
        if form.batch:
            checked = self._guarded(forms.listing(call, self.work.growth, self._own), batch_outcome.cursor, refusals)
            return partial(
                forms.in_lists, checked, batch_outcome, grouping(self.work, batch_outcome.batch, refusals), most
            )
        if form.many:
            return lambda: self._draw(call, batch_outcome, refusals, most)
        loop = forms.one_or_none if form.drops else forms.one_each
        return partial(loop, self._guarded(call, batch_outcome.cursor, refusals), batch_outcome)

    def _draw(self, call: forms.Call, batch_outcome: BatchOutcome, refusals: Refusals, most: int) -> None:
        pile = Pile(self.work.growth, self._own)
        forms.many_each(
            self._guarded(forms.drawing(call, pile), batch_outcome.cursor, refusals), batch_outcome, pile, most
        )

    def _guarded(self, call: forms.Call, cursor: Cursor, refusals: Refusals) -> forms.Call:
        """The call with what is asked of it around it: nothing, as a rule."""
        if self.watched and not isinstance(self.slot, NoSlot):
            call = forms.watched(call, cursor, self.slot, lists=self.work.form.batch)
        if self._pace is not None:  # outside: who waits for a turn isn't late
            call = forms.paced(call, self._pace)
        return forms.judged(call, cursor, refusals) if refusals else call


# The usual call


_making = allocate_lock()
"""Held while a passage is made: a transform may have threads of its own that say something."""


class Undisturbed:
    """Hears the transform in the place of a passage that isn't made yet.

    results, rest: what there is of the results, and an iterator of the records still to come.
    """

    __slots__ = ("_batch", "_cursor", "_work", "batch_outcome", "rest", "results")

    def __init__(self, work: Work, batch: Batch) -> None:
        self._work = work
        self._batch = batch
        self._cursor: Cursor | None = None
        self.rest = iter(batch.records)
        self.results: list[Any] = []
        self.batch_outcome: BatchOutcome | None = None

    @property
    def cursor(self) -> Cursor:
        """Where `rest` is."""
        if self._cursor is None:
            self._cursor = Cursor(self._batch.records, self.rest)
        return self._cursor

    def disturbed(self) -> BatchOutcome:
        """The passage, with the results there are and the cursor where it is."""
        with _making:
            if self.batch_outcome is None:
                batch_outcome = BatchOutcome(self._work, self._batch)
                batch_outcome.results, batch_outcome.cursor = self.results, self.cursor
                self.batch_outcome = batch_outcome
        return self.batch_outcome

    @property
    def extra(self) -> dict[str, int]:
        return self.disturbed().extra

    def enough(self) -> None:
        self.disturbed().enough()


def one_each(call: forms.Call, listener: Undisturbed) -> list[Any] | Batch:
    """A record in, a record out, as in `forms`: the results; or a batch of them, where there is more to tell."""
    results = listener.results
    token = ambient.current.set(listener)
    try:
        for record in listener.rest:
            try:
                result = call(record)
            except BaseException as error:
                result = listener.disturbed().again(call, trouble_of(error))
            if result is None:
                listener.disturbed().nothing()
            else:
                results.append(result)
    finally:
        ambient.current.reset(token)
    return results if listener.batch_outcome is None else listener.batch_outcome.piece()
