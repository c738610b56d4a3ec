"""`run.max_growth`: the bytes one source record may become. Results are measured as they come, so that an endless
generator is stopped."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any

from stagerunner.evaluate.copying import defensive_copy
from stagerunner.evaluate.failures import Refusal

UNMEASURED = 16
"""Results of a source record before the first is measured: most records give fewer, and measuring means pickling."""

MEASURE_EVERY = 4096
MEASURE_BYTES = 2**20
"""Results are measured again after MEASURE_EVERY results, or after about MEASURE_BYTES bytes."""

LIST_SLOT = 8
"""Bytes counted for each result beside its pickle: its place in a list."""


class TooLarge(Exception):
    """The results of one source record take more bytes than `run.max_growth` allows. most: the limit."""

    def __init__(self, size: int, most: int) -> None:
        self.most = most
        super().__init__(f"became {size:,} bytes; run.max_growth allows {most:,}")


def limited(encode: Callable[[list[Any]], Any], most: int) -> Callable[[list[Any]], Any]:
    """The same encoding. It raises TooLarge for more than `most` bytes."""

    def encoded(records: list[Any]) -> Any:
        data = encode(records)
        if len(data) > most:
            raise TooLarge(len(data), most)
        return data

    return encoded


class ResultList:
    """A list of results that limits what one source record may become.

    limit: bytes of the results of one source record. copy: applied to each result.
    """

    __slots__ = ("_copy", "_due", "_limit", "_measured", "_origin", "_size", "results")

    def __init__(self, limit: int, copy: Callable[[Any], Any] = defensive_copy) -> None:
        self.results: list[Any] = []
        self._copy = copy
        self._limit = limit
        self._origin = -1
        self._size = 0
        self._measured = 0
        self._due = UNMEASURED

    def begin(self, origin: int) -> None:
        """The next results come from this source record."""
        if origin != self._origin:
            self._origin, self._size, self._measured = origin, 0, len(self.results)
            self._due = self._measured + UNMEASURED

    def add(self, given: Iterable[Any] | None) -> int:
        """Add the results of one record and return how many there are. If this raises, none of them is added.

        Raises Refusal for None, as the iterable or in it, and above the limit; and whatever the iterable raises.
        """
        if given is None:
            raise Refusal("NoneReturned", "returned None; return an empty iterator to drop the record")
        results, copy = self.results, self._copy
        start, size, measured, due = len(results), self._size, self._measured, self._due
        try:
            for result in given:
                if result is None:
                    raise Refusal("NoneReturned", "yielded None; a record is never None")
                results.append(copy(result))
                if len(results) >= self._due:
                    self._measure()
        except BaseException:
            self._size, self._measured, self._due = size, measured, due
            del results[start:]
            close_quietly(given)
            raise
        return len(results) - start

    def _measure(self) -> None:
        """Measure the results since the last time. Raises Refusal above the limit."""
        newest = self.results[self._measured :]
        size = size_of(newest)
        self._size += size
        if self._size > self._limit:
            raise Refusal("TooLarge", f"became more than {self._limit:,} bytes, the limit for one source record")
        self._measured = len(self.results)
        self._due = self._measured + max(1, min(MEASURE_EVERY, MEASURE_BYTES * len(newest) // size))


def size_of(results: list[Any]) -> int:
    """About how many bytes they take: pickled, or in memory if they can't be pickled."""
    try:
        size = len(pickle.dumps(results, 5))
    except BaseException:
        size = sum(map(sys.getsizeof, results))
    return size + LIST_SLOT * len(results)


def close_quietly(given: Iterable[Any]) -> None:
    """Close a generator that was left half-way, and ignore what it raises."""
    with suppress(BaseException):
        if isinstance(given, Generator):
            given.close()
