"""`@source`, and what a source has to be.

A *splittable* source is a class (its constructor's keyword arguments are the options):

    class Lines:
        def splits(self, after): ...      # in the parent, quick: yields Split, an empty one (most=0) for "not yet";
                                          # `after` is the position of the last finished one, or None
        def read(self, split): ...        # in the first worker: yields records, or Malformed in a record's place
        def identity(self): ...           # JSON data that must be unchanged for `--resume`

    and, if it can: `locate(split, number) -> Origin` says where a source record stands; `size() -> int` how many
    bytes there are in all. `splits(self, after, want)` is given a `Want` that says how large a split should be now.

A *stream* is a generator function; it runs in a process of its own and can't be resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, overload

from stagerunner.parts.base import Part, first_sentence, mark, target_of
from stagerunner.parts.stage import T
from stagerunner.records import Origin, Plain, Split

__all__ = ["Origin", "Source", "Split", "Want", "is_stream", "source"]


GENERATOR = 0x20
"""The flag of a generator function's code (`inspect.CO_GENERATOR`; a worker does without that import)."""


class Want(Plain):
    """How large the next split should be: the runner changes it as it learns how long records take.

    size: bytes, for sources that are cut by bytes. records: records, for sources that are cut by count. exact: just so
    many records are wanted, whatever it takes to count them.
    """

    __slots__ = ("exact", "records", "size")

    def __init__(self, size: int = 262144, records: int = 1000, *, exact: bool = False) -> None:
        self.size, self.records, self.exact = size, records, exact


class Source(Protocol):
    """What a splittable source must offer."""

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
    """Offer a class or generator function as a source. `suffixes` are the file endings it is chosen for."""

    def decorate(decorated: Any) -> Any:
        chosen = (found if isinstance(found, str) else name) or decorated.__name__.lower()
        return mark(decorated, Part("source", chosen, target_of(decorated), first_sentence(decorated), suffixes))

    return decorate if found is None or isinstance(found, str) else decorate(found)


def is_stream(found: Any) -> bool:
    """Whether it is a generator function. Raises TypeError when it can't be a source at all."""
    if isinstance(found, type):
        missing = [name for name in ("splits", "read", "identity") if not hasattr(found, name)]
        if missing:
            raise TypeError(f"class {found.__name__} has no {' and no '.join(missing)}")
        return False
    code = getattr(found, "__code__", None)
    if code is not None and code.co_flags & GENERATOR:
        return True
    raise TypeError("a source is a class with splits, read and identity, or a generator function")
