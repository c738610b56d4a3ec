"""What a stage gives after the last record: a split of its own, whose source records are its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from time import monotonic_ns
from typing import Any

from stagerunner.evaluate import stage_api
from stagerunner.evaluate.failures import CallFailure, Refusal, failure_of
from stagerunner.evaluate.work import Slot, Work
from stagerunner.records import Batch, Counts

_END = object()


class Flush:
    """The results of one flush as they are drawn. It hears `count`; there is nothing left of which to have enough."""

    def __init__(
        self,
        work: Work,
        start: Callable[[], Iterable[Any] | None],
        copy: Callable[[Any], Any],
        refused: Mapping[int, tuple[str, str]],
    ) -> None:
        self._work = work
        self._refused = refused
        self._copy = copy
        self._start = start
        self._rest: Iterator[Any] | None = None
        self.given = 0
        self.extra: dict[str, int] = {}
        self.over = False

    def enough(self) -> None:
        return

    def batch(self, most: int, slot: Slot) -> Batch:
        """The next results, `most` of them. A failure ends the flush: what would have followed can't be known."""
        self.extra = {}
        first, results = self.given, list[Any]()
        try:
            self._draw(results, most, slot)
        except BaseException as error:
            self.over = True
            return self._ended(results, failure_of(error))
        finally:
            slot.leave()
        self.given += len(results)
        return Batch(results, first, self.given, counts=[self._counts(len(results))])

    def _ended(self, results: list[Any], call_failure: CallFailure) -> Batch:
        """The last batch, with the failure in the place of the result that did not come."""
        first, policy = self.given, self._work.on_error
        place = first + len(results)
        failure = call_failure._replace(attempts=1).failure(self._work.index, place, 0, policy)
        if policy == "fail":  # what did not come can't be counted
            return Batch(results, first, place, None, [failure], [self._counts(len(results))])
        counts = [self._counts(len(results), failed=1)]
        return Batch(results, first, place + 1, list(range(first, place)), [failure], counts)

    def _draw(self, results: list[Any], most: int, slot: Slot) -> None:
        began, at = monotonic_ns(), self.given
        while len(results) < most:
            if at in self._refused:
                raise Refusal(*self._refused[at])
            slot.enter(at, began)
            if self._rest is None:
                self._rest = as_iterator(self._start())
            result = next(self._rest, _END)
            if result is _END:
                self.over = True
                return
            if result is None:
                raise Refusal("NoneReturned", "flush gave None; a record is never None")
            results.append(self._copy(result))
            at += 1

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
    work: Work,
    start: Callable[[], Iterable[Any] | None],
    copy: Callable[[Any], Any],
    refused: Mapping[int, tuple[str, str]],
    room: Callable[[int], int],
    slot: Slot,
) -> Iterator[Batch]:
    """The batches of a flush, at least one; `start` begins it.

    refused: results not to be drawn, and their failures. room: how many may be in the next batch, after so many.
    """
    flush = Flush(work, start, copy, refused)
    while not flush.over:
        yield stage_api.call_with_listener(flush, partial(flush.batch, room(flush.given), slot))
