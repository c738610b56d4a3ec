"""`@source`, and the interface of a source.

A *splittable* source is a class whose constructor takes the options as keyword arguments:

    class Lines:
        def splits(self, after): ...      # in the parent, must be quick: yields Split; one with most=0 means "not yet";
                                          # `after` is the position of the last finished split, or None
        def read(self, split): ...        # in the first worker: yields records, or Malformed instead of a record
        def identity(self): ...           # JSON data that must be the same for `--resume`

Optional: `locate(split, number) -> Origin`, where a source record is; `size() -> int`, the number of bytes in all;
`close()`, in the parent when the run is over; `rows(split)`, in the first worker if a stage of record batches follows
or a sink that takes them: the records of the split as ArrowRows, or None if they have to be read one by one. If
`splits` has a parameter `want`, it gets a `Want` that says how large the next split should be.

A *resumable stream* is a class with one method to read, which runs in a process of its own:

    class Topic:
        def read(self, after): ...        # yields records, and now and then Mark(position); `after` is None, or the
                                          # position of the last mark that was committed

Optional: `check()`, in the parent, when the plan is made; `identity()`, as above; `locate(after, number) -> Origin`,
where the record stands that is the `number`-th behind that mark, from 0.

A *stream* is a generator function. It runs in a process of its own and can't be resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, overload

from stagerunner.parts.base import offer
from stagerunner.parts.stage import T
from stagerunner.records import Mark, Origin, Plain, Split

__all__ = ["Mark", "Origin", "Source", "Split", "Want", "gives_marks", "is_stream", "source"]


GENERATOR = 0x20
"""`inspect.CO_GENERATOR`, the flag of a generator function's code. A worker doesn't import inspect."""


class Want(Plain):
    """How large the next split should be. The runner changes it as it learns how long records take.

    size: bytes, for sources that are cut by bytes. records: number of records, for sources that are cut by count.
    exact: the split must have exactly so many records, even if counting them is slow.
    """

    __slots__ = ("exact", "records", "size")

    def __init__(self, size: int = 262144, records: int = 1000, *, exact: bool = False) -> None:
        self.size, self.records, self.exact = size, records, exact


class Source(Protocol):
    """The methods that every splittable source needs."""

    def splits(self, after: Any) -> Any: ...
    def read(self, split: Split) -> Any: ...
    def identity(self) -> Any: ...


@overload
def source(
    found: str | None = None, *, name: str | None = None, suffixes: tuple[str, ...] = ()
) -> Callable[[T], T]: ...
@overload
def source(found: T) -> T: ...
def source(found: Any = None, *, name: str | None = None, suffixes: tuple[str, ...] = ()) -> Any:
    """Offer a class or generator function as a source. `suffixes`: the file name endings for which it is chosen."""
    return offer("source", found, name, suffixes)


def is_stream(found: Any) -> bool:
    """Whether it runs in the source process. Raises TypeError if it can't be a source at all."""
    if isinstance(found, type):
        return gives_marks(found)
    code = getattr(found, "__code__", None)
    if code is not None and code.co_flags & GENERATOR:
        return True
    raise TypeError("a source is a class with splits, read and identity, a class with read, or a generator function")


def gives_marks(found: Any) -> bool:
    """Whether it is a resumable stream. Raises TypeError for a class that can't be a source."""
    if not isinstance(found, type):
        return False
    if not hasattr(found, "splits") and hasattr(found, "read"):
        return True
    missing = [name for name in ("splits", "read", "identity") if not hasattr(found, name)]
    if missing:
        raise TypeError(f"class {found.__name__} has no {' and no '.join(missing)}")
    return False
