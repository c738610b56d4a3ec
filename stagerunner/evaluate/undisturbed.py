"""The usual batch: each record gives one result, and nobody says anything. A passage is made once somebody does.

Making one for each batch, and a batch of it in the end, is a tenth of what a frame costs its worker.
"""

from __future__ import annotations

from _thread import allocate_lock
from typing import Any

from stagerunner.evaluate import ambient, forms
from stagerunner.evaluate.batches import Passage
from stagerunner.evaluate.cursor import Cursor
from stagerunner.evaluate.policy import trouble_of
from stagerunner.evaluate.work import Work
from stagerunner.records import Batch

_making = allocate_lock()
"""Held while a passage is made: a transform may have threads of its own that say something."""


class Undisturbed:
    """Hears the transform in the place of a passage that isn't made yet.

    results, rest: what there is of the results, and an iterator of the records still to come.
    """

    __slots__ = ("_batch", "_cursor", "_work", "passage", "rest", "results")

    def __init__(self, work: Work, batch: Batch) -> None:
        self._work = work
        self._batch = batch
        self._cursor: Cursor | None = None
        self.rest = iter(batch.records)
        self.results: list[Any] = []
        self.passage: Passage | None = None

    @property
    def cursor(self) -> Cursor:
        """Where `rest` is."""
        if self._cursor is None:
            self._cursor = Cursor(self._batch.records, self.rest)
        return self._cursor

    def disturbed(self) -> Passage:
        """The passage, with the results there are and the cursor where it is."""
        with _making:
            if self.passage is None:
                passage = Passage(self._work, self._batch)
                passage.results, passage.cursor = self.results, self.cursor
                self.passage = passage
        return self.passage

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
    return results if listener.passage is None else listener.passage.piece()
