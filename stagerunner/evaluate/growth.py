"""How much one source record may become: results are weighed while they come, so that an endless generator ends."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any

from stagerunner.evaluate.copying import defensive_copy
from stagerunner.evaluate.failures import Refusal

UNWEIGHED = 16
"""Results of a source record that are not weighed: most records give fewer, and weighing costs a pickling."""

WEIGH_EVERY = 4096
WEIGH_BYTES = 2**20
"""The next weighing is due after MOST results, or after about this many bytes."""

LIST_SLOT = 8
"""Bytes a result takes in a list, whatever its pickle takes: a billion `True`s are not a gigabyte of nothing."""


class TooLarge(Exception):
    """What is to be sent on takes more bytes than one source record may have become."""

    def __init__(self, size: int, most: int) -> None:
        self.most = most
        super().__init__(f"became {size:,} bytes; run.max_growth allows {most:,}")


def limited(encode: Callable[[list[Any]], Any], most: int) -> Callable[[list[Any]], Any]:
    """The same encoding; raises TooLarge for more than so many bytes."""

    def encoded(records: list[Any]) -> Any:
        data = encode(records)
        if len(data) > most:
            raise TooLarge(len(data), most)
        return data

    return encoded


class ResultList:
    """The results of many records, and what those of the newest source record weigh.

    limit: bytes that the results of one source record may weigh. own: what each result is made its own by.
    """

    __slots__ = ("_copy", "_due", "_limit", "_origin", "_weighed", "_weight", "results")

    def __init__(self, limit: int, copy: Callable[[Any], Any] = defensive_copy) -> None:
        self.results: list[Any] = []
        self._copy = copy
        self._limit = limit
        self._origin = -1
        self._weight = 0
        self._weighed = 0
        self._due = UNWEIGHED

    def begin(self, origin: int) -> None:
        """The results that come next are those of this source record."""
        if origin != self._origin:
            self._origin, self._weight, self._weighed = origin, 0, len(self.results)
            self._due = self._weighed + UNWEIGHED

    def add(self, given: Iterable[Any] | None) -> int:
        """Put on all the results of one record and return how many there were; all, or none if this raises.

        Raises Refusal for None, as the iterable or in it, and beyond the limit; and whatever the iterable raises.
        """
        if given is None:
            raise Refusal("NoneReturned", "returned None; return an empty iterator to drop the record")
        results, copy = self.results, self._copy
        start, weight, weighed, due = len(results), self._weight, self._weighed, self._due
        try:
            for result in given:
                if result is None:
                    raise Refusal("NoneReturned", "yielded None; a record is never None")
                results.append(copy(result))
                if len(results) >= self._due:
                    self._weigh()
        except BaseException:
            self._weight, self._weighed, self._due = weight, weighed, due
            del results[start:]
            _close(given)
            raise
        return len(results) - start

    def _weigh(self) -> None:
        newest = self.results[self._weighed :]
        weight = size_of(newest)
        self._weight += weight
        if self._weight > self._limit:
            raise Refusal("TooLarge", f"became more than {self._limit:,} bytes, the limit for one source record")
        self._weighed = len(self.results)
        self._due = self._weighed + max(1, min(WEIGH_EVERY, WEIGH_BYTES * len(newest) // weight))


def size_of(results: list[Any]) -> int:
    """Bytes, about: as they would travel, or as they lie in memory where they can't."""
    try:
        travelling = len(pickle.dumps(results, 5))
    except BaseException:
        travelling = sum(map(sys.getsizeof, results))
    return travelling + LIST_SLOT * len(results)


def _close(given: Iterable[Any]) -> None:
    """A generator left half-way ends here and now; what it says to that is of no interest."""
    with suppress(BaseException):
        if isinstance(given, Generator):
            given.close()
