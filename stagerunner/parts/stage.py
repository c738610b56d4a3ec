"""`@stage`, and the form of a transform: found once, in the plan, and told to the workers."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, overload

from stagerunner.parts.base import Part, first_sentence, mark, part_of, target_of

T = TypeVar("T")


class Form(NamedTuple):
    """How a transform is called.

    built: it is a class, constructed with the options; else a function that takes them with each call.
    batch: it takes and gives lists. many: it is a generator (or returns an iterator): none, one or many out.
    awaited: it is `async def`. drops: None is declared and drops the record. state: it remembers between records.
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
        self, found: str | None = None, *, name: str | None = None, state: bool = False
    ) -> Callable[[T], T]: ...
    @overload
    def __call__(self, found: T) -> T: ...
    def __call__(self, found: Any = None, *, name: str | None = None, state: bool = False) -> Any:
        """Offer a function or class as a stage. `name` defaults to its own name, in lower case.

        state: it remembers between records, so it has one worker and sees them all in order of the source.
        """
        if found is None or isinstance(found, str):
            return lambda decorated: self._mark(decorated, found or name, state)
        return self._mark(found, name, state)

    def _mark(self, found: Any, name: str | None, state: bool) -> Any:
        named = name or found.__name__.lower()
        return mark(
            found, Part("stage", named, target_of(found), first_sentence(found), state=state, batch=self._batch)
        )


class _Stage(_StageDecorator):
    batch = _StageDecorator(batch=True)


stage = _Stage(batch=False)


def form_of(found: Any) -> Form:
    """The form of a function or class, decorated or not. Raises TypeError when it can't be a stage."""
    part = part_of(found)
    declared_state, declared_batch = (part.state, part.batch) if part else (False, False)
    if inspect.isclass(found):
        return _class_form(found, declared_state)
    if not callable(found):
        raise TypeError(f"a {type(found).__name__} is neither a function nor a class")
    return Form(
        batch=declared_batch,
        many=_gives_many(found) and not declared_batch,
        awaited=inspect.iscoroutinefunction(found),
        drops=_may_be_none(found),
        state=declared_state,
    )


def _class_form(found: type, declared_state: bool) -> Form:
    by_record, by_batch = getattr(found, "process", None), getattr(found, "process_batch", None)
    if (by_record is None) == (by_batch is None):
        raise TypeError(f"class {found.__name__} needs one of the methods process and process_batch")
    process = by_record or by_batch
    flushes, snapshots = hasattr(found, "flush"), hasattr(found, "snapshot")
    if snapshots != hasattr(found, "restore"):
        raise TypeError(f"class {found.__name__} has only one of the methods snapshot and restore")
    return Form(
        built=True,
        batch=by_batch is not None,
        many=by_batch is None and _gives_many(process),
        awaited=inspect.iscoroutinefunction(process),
        drops=_may_be_none(process),
        state=declared_state or flushes or snapshots,
        flushes=flushes,
        snapshots=snapshots,
    )


def _gives_many(function: Any) -> bool:
    if inspect.isgeneratorfunction(function):
        return True
    origin = typing.get_origin(_returns(function))
    name = getattr(origin, "__name__", "")
    return name in ("Iterator", "Generator", "Iterable")


def _may_be_none(function: Any) -> bool:
    returns = _returns(function)
    if returns is None or returns is type(None):
        return True
    if typing.get_origin(returns) in (typing.Union, types.UnionType):
        return type(None) in typing.get_args(returns)
    return False


def _returns(function: Any) -> Any:
    """The declared return type; `inspect.Signature.empty` where there is none or it can't be worked out."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:
        # A hint that names something only a type checker sees; its text still says whether None is in it.
        written = getattr(function, "__annotations__", {}).get("return", inspect.Signature.empty)
        if isinstance(written, str):
            return (object | None) if "None" in written else inspect.Signature.empty
        return written
    if "return" not in hints:
        return inspect.Signature.empty
    return type(None) if hints["return"] is None else hints["return"]
