"""`@stage`, and the form of a transform. The plan determines the form (parts.forming) and tells it to the workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from stagerunner.parts.base import Part, first_sentence, mark, target_of
from stagerunner.tuples import NamedTuple

T = TypeVar("T")


class Form(NamedTuple):
    """How a transform is called.

    built: it is a class, constructed with the options; else a function that takes them with each call. batch: it takes
    and returns lists. many: it is a generator, or returns an iterator, and gives none, one or many records. awaited: it
    is `async def`. drops: it may return None, which drops the record. state: it remembers something between records.
    flushes, snapshots: the class has these methods.
    """

    built: bool = False
    batch: bool = False
    many: bool = False
    awaited: bool = False
    drops: bool = False
    state: bool = False
    flushes: bool = False
    snapshots: bool = False


class _StageDecorator:
    """`@stage`, `@stage("name")`, `@stage(state=True)`, and the same behind `@stage.batch`."""

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch

    @overload
    def __call__(
        self, found: str | None = None, *, name: str | None = None, state: bool | None = None, pure: bool = False
    ) -> Callable[[T], T]: ...
    @overload
    def __call__(self, found: T) -> T: ...
    def __call__(
        self, found: Any = None, *, name: str | None = None, state: bool | None = None, pure: bool = False
    ) -> Any:
        """Offer a function or class as a stage. `name` defaults to its own name, in lower case.

        state: True if it remembers something between records. It then has one worker, which sees all records in the
        order of the source. False if what it keeps changes no result, as with a cache: then `check` doesn't warn.
        pure: True if it keeps no reference to the records that it returns, so that they need not be copied.
        """
        if found is None or isinstance(found, str):
            return lambda decorated: self._mark(decorated, found or name, state, pure)
        return self._mark(found, name, state, pure)

    def _mark(self, found: Any, name: str | None, state: bool | None, pure: bool) -> Any:
        if pure:
            found.pure = True
        named = name or found.__name__.lower()
        return mark(
            found, Part("stage", named, target_of(found), first_sentence(found), state=state, batch=self._batch)
        )


class _Stage(_StageDecorator):
    batch = _StageDecorator(batch=True)


stage = _Stage(batch=False)
