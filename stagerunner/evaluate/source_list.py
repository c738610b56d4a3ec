"""A source of several parts, read in order: the instances of its parts, in the parent and in the first worker."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

from stagerunner.evaluate.copying import copy_if_shared
from stagerunner.evaluate.loading import load
from stagerunner.parts.source import gives_marks, is_stream
from stagerunner.records import Split
from stagerunner.tuples import NamedTuple


class Piece(NamedTuple):
    """The data of a split: the number of its part, and what a worker would get if that part were the whole source."""

    part: int
    payload: Any


class PartSpec(NamedTuple):
    """A part: what to import, its options, its `on_error`."""

    target: str
    options: dict[str, Any]
    on_error: str


class SourceList:
    """The parts of `source:` as a list."""

    def __init__(self, *, parts: tuple[PartSpec, ...]) -> None:
        self._parts = parts
        found = [load(part.target) for part in parts]
        self._given = [is_stream(one) for one in found]
        """Whether the records of a part come ready-made, from a source process."""
        self.instances: list[Any] = [
            None if given and not gives_marks(one) else one(**part.options)
            for one, given, part in zip(found, self._given, parts, strict=True)
        ]
        """None for a generator function."""
        read = (one for one, given in zip(self.instances, self._given, strict=True) if not given)
        self.pure = all(getattr(one, "pure", False) is True for one in read)

    @property
    def max_record(self) -> int:
        return 0

    @max_record.setter
    def max_record(self, most: int) -> None:
        for one in self.instances:
            if one is not None:
                one.max_record = most

    def splits(self, after: Any) -> Iterator[Split]:
        raise NotImplementedError("each part is asked for its own")

    def read(self, split: Split) -> Any:
        part, payload = split.data
        data = pickle.loads(payload)
        return copy_if_shared(data) if self._given[part] else self.instances[part].read(split._replace(data=data))

    def on_error(self, split: Split) -> str:
        """What happens to records of this split that can't be read."""
        part: int = split.data.part
        return self._parts[part].on_error

    def identity(self) -> Any:
        """That of each part; None for one that has none."""
        return [one.identity() if hasattr(one, "identity") else None for one in self.instances]
