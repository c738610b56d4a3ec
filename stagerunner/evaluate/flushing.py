"""What a stage gives after the last record: a split of its own, whose source records are its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from stagerunner.evaluate import ambient
from stagerunner.evaluate.policy import Refusal, Trouble, trouble_of
from stagerunner.evaluate.work import Slot, Work
from stagerunner.records import Batch, Counts


class Flush:
    """The results of one flush as they are drawn. It hears `count`; there is nothing left of which to have enough."""

    def __init__(self, work: Work, start: Callable[[], Iterable[Any] | None], own: Callable[[Any], Any]) -> None:
        self._work = work
        self._own = own
        self._start = start
        self._rest: Iterator[Any] | None = None
        self._given = 0
        self.extra: dict[str, int] = {}
        self.over = False

    def enough(self) -> None:
        return

    def batch(self, most: int, slot: Slot) -> Batch:
        """The next results, `most` of them. A failure ends the flush: what would have followed can't be known."""
        self.extra = {}
        first, results = self._given, list[Any]()
        slot.enter(first)
        try:
            self._draw(results, most)
        except BaseException as error:
            self.over = True
            return self._ended(results, trouble_of(error))
        finally:
            slot.leave()
        self._given += len(results)
        return Batch(results, first, self._given, counts=[self._counts(len(results))])

    def _ended(self, results: list[Any], trouble: Trouble) -> Batch:
        """The last batch, with the failure in the place of the result that did not come."""
        first, policy = self._given, self._work.on_error
        place = first + len(results)
        failure = trouble._replace(attempts=1).failure(self._work.index, place, 0, policy)
        if policy == "fail":  # what did not come can't be counted
            return Batch(results, first, place, None, [failure], [self._counts(len(results))])
        counts = [self._counts(len(results), failed=1)]
        return Batch(results, first, place + 1, list(range(first, place)), [failure], counts)

    def _draw(self, results: list[Any], most: int) -> None:
        if self._rest is None:
            self._rest = as_iterator(self._start())
        for result in islice(self._rest, most):
            if result is None:
                raise Refusal("NoneReturned", "flush gave None; a record is never None")
            results.append(self._own(result))
        self.over = len(results) < most

    def _counts(self, given: int, failed: int = 0) -> Counts:
        counts = Counts(self._work.index, created=given + failed, out=given, extra=self.extra)
        counts.fail(self._work.on_error, failed)
        return counts


def as_iterator(found: Any) -> Iterator[Any]:
    """What `flush` returned. Raises Refusal where that is neither None, an iterator nor a list."""
    if found is None:
        return iter(())
    if isinstance(found, Iterator | list | tuple):
        return iter(found)
    raise Refusal("NotAList", f"flush returned {type(found).__name__}; it yields records or returns a list of them")


def flushed(
    work: Work, start: Callable[[], Iterable[Any] | None], own: Callable[[Any], Any], most: int, slot: Slot
) -> Iterator[Batch]:
    """The batches of a flush, at least one; `start` begins it."""
    flush = Flush(work, start, own)
    while not flush.over:
        yield ambient.heard_by(flush, partial(flush.batch, most, slot))
