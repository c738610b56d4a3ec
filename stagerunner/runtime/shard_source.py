"""The part of a source that one shard reads.

All shards find the same splits, because none is cut by what a run has learned: their size follows from the size of the
source and the number of shards. The splits are dealt out in one piece to each shard, so that outputs can be joined end
to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from stagerunner.guard import plain
from stagerunner.parts.source import Want
from stagerunner.plan.model import Shard
from stagerunner.records import Split
from stagerunner.runtime.input import splits_of
from stagerunner.tuples import NamedTuple

SPLITS = 256
"""Splits for each shard, where the source is large enough: it is dealt out evenly, and its workers too get an even
share."""
MOST_PLACES = 65536
"""Positions in memory. Beyond that, every second one is left out."""
UNKNOWN = Want(16384, 100)
"""How splits are cut in a source that doesn't know its size, as a compressed file."""
LARGEST, MOST_RECORDS, BYTES = 262144, 1000, 8
"""The largest split in bytes and in records, and the bytes of a record in a source that counts records."""


class _Bounds(NamedTuple):
    """The positions before the first split and behind the last one; None for the ends of the source."""

    first: Any
    last: Any


class ShardSource:
    """A splittable source, of which only this shard's splits are given."""

    def __init__(self, source: Any, shard: Shard) -> None:
        self._source = source
        self._shard = shard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def size(self) -> int | None:
        """About the shard's share of the bytes."""
        size = self._source.size() if hasattr(self._source, "size") else None
        return size // self._shard.of if isinstance(size, int) else None

    def splits(self, after: Any) -> Iterator[Split]:
        """This shard's splits behind the position `after`; all of them if it is None."""
        bounds = self._bounds
        if bounds is None or (after is not None and after == bounds.last):
            return
        for split in self._all(bounds.first if after is None else after):
            yield split
            if split.most != 0 and bounds.last is not None and _position(split) == bounds.last:
                return

    @cached_property
    def _bounds(self) -> _Bounds | None:
        """Where the shard's splits begin and end; None if there are too few splits for it to have any."""
        places = self._places()
        number, of = self._shard.number, self._shard.of
        before, behind = (len(places) * count // of for count in (number - 1, number))
        if before == behind:
            return None
        return _Bounds(places[before - 1] if before else None, None if number == of else places[behind - 1])

    def _places(self) -> list[Any]:
        """Positions behind splits, evenly spread over the source and the last one included."""
        places: list[Any] = []
        step, number = 1, 0
        place: Any = None
        for split in self._all(None):
            if split.most == 0:
                continue
            number, place = number + 1, _position(split)
            if number % step == 0:
                places.append(place)
            if len(places) == MOST_PLACES:
                places, step = places[1::2], step * 2
        if number % step:
            places.append(place)
        return places

    def _all(self, after: Any) -> Iterator[Split]:
        return splits_of(self._source, after, self._want())

    def _want(self) -> Want:
        size = self._source.size() if hasattr(self._source, "size") else None
        if not isinstance(size, int):
            return UNKNOWN
        each = size // (SPLITS * self._shard.of)
        return Want(min(LARGEST, max(1, each)), min(MOST_RECORDS, max(1, each // BYTES)))


def _position(split: Split) -> Any:
    return plain(split.position, "the source", "splits")
