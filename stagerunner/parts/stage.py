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
    a list, and returns a list with one result for each record. many: it gives none, one or many records for each: as a
    generator or an iterator, in a batch transform as a list of lists. awaited: it is `async def`. drops: a result may
    be None, which drops the record. arrow: it takes a pyarrow.RecordBatch, and returns one (`batch` is set too). state:
    it remembers something between records. flushes, snapshots: the class has these methods.
    """

    built: bool = False
    batch: bool = False
    many: bool = False
    awaited: bool = False
    drops: bool = False
    arrow: bool = False
    state: bool = False
    flushes: bool = False
    snapshots: bool = False


class _StageDecorator:
    """`@stage`, `@stage("name")`, `@stage(state=True)`, and the same behind `@stage.batch` and `@stage.arrow`."""

    def __init__(self, *, batch: bool, arrow: bool = False) -> None:
        self._batch = batch
        self._arrow = arrow

    @overload
    def __call__(
        self,
        found: str | None = None,
        *,
        name: str | None = None,
        state: bool | None = None,
        pure: bool = False,
        many: bool = False,
        memo: bool = False,
    ) -> Callable[[T], T]: ...
    @overload
    def __call__(self, found: T) -> T: ...
    def __call__(
        self,
        found: Any = None,
        *,
        name: str | None = None,
        state: bool | None = None,
        pure: bool = False,
        many: bool = False,
        memo: bool = False,
    ) -> Any:
        """Offer a function or class as a stage. `name` defaults to its own name, in lower case.

        state: True if it remembers something between records. It then has one worker, which sees all records in the
        order of the source. False if what it keeps changes no result, as with a cache: then `check` doesn't warn.
        pure: True if it keeps no reference to the records that it returns, so that they need not be copied.
        many: for a batch transform, True if each result is a list of records: none, one or many. Raises TypeError for
        any other transform: a generator needs no declaration.
        memo: True if its results are kept unless the config says `memo: false`: it is expensive wherever it is used.
        """
        if many and (self._arrow or not self._batch):
            raise TypeError(
                "many=True is for @stage.batch; a generator or a record batch with indexes needs no declaration"
            )
        if found is None or isinstance(found, str):
            return lambda decorated: self._mark(decorated, found or name, state, pure, many=many, memo=memo)
        return self._mark(found, name, state, pure, many=many, memo=memo)

    def _mark(self, found: Any, name: str | None, state: bool | None, pure: bool, *, many: bool, memo: bool) -> Any:
        if pure:
            found.pure = True
        part = Part("stage", name or found.__name__.lower(), target_of(found), first_sentence(found), state=state)
        return mark(found, part._replace(batch=self._batch, many=many, memo=memo, arrow=self._arrow))


class _Stage(_StageDecorator):
    batch = _StageDecorator(batch=True)
    arrow = _StageDecorator(batch=True, arrow=True)
    """Takes a pyarrow.RecordBatch, and gives one with a row for each row, or (record batch, index of the row that each
    row comes from)."""


stage = _Stage(batch=False)
