"""Finds the form of a transform, that is, how it has to be called. Only the plan does so, and tells the workers."""

from __future__ import annotations

import inspect
import types
import typing
from typing import Any

from stagerunner.parts.base import part_of
from stagerunner.parts.stage import Form


def form_of(found: Any) -> Form:
    """The form of a function or class, decorated or not. Raises TypeError if it can't be a stage."""
    part = part_of(found)
    declared_state, declared_batch, many = (bool(part.state), part.batch, part.many) if part else (False, False, False)
    arrow = bool(part and part.arrow)
    if inspect.isclass(found):
        return _class_form(found, declared_state, many, arrow=arrow)
    if not callable(found):
        raise TypeError(f"a {type(found).__name__} is neither a function nor a class")
    _check_signature(found, own=0)
    if arrow:
        _check_arrow(found)
    return Form(
        batch=declared_batch,
        many=many if declared_batch else _gives_many(found),
        awaited=inspect.iscoroutinefunction(found),
        drops=not arrow and _may_drop(found, batch=declared_batch),
        arrow=arrow,
        state=declared_state,
    )


def _check_arrow(process: Any) -> None:
    """Raises TypeError for what can't take record batches."""
    if inspect.iscoroutinefunction(process):
        raise TypeError("a stage of Arrow batches can't be `async def`")
    if inspect.isgeneratorfunction(process):
        raise TypeError("a stage of Arrow batches returns a record batch, so it can't be a generator")


def _class_form(found: type, declared_state: bool, many: bool, *, arrow: bool) -> Form:
    by_record, by_batch = getattr(found, "process", None), getattr(found, "process_batch", None)
    if (by_record is None) == (by_batch is None):
        raise TypeError(f"class {found.__name__} needs one of the methods process and process_batch")
    process = by_record or by_batch
    if arrow and by_batch is None:
        raise TypeError(f"class {found.__name__} takes Arrow batches, so it needs the method process_batch")
    if arrow:
        _check_arrow(process)
    flushes, snapshots = hasattr(found, "flush"), hasattr(found, "snapshot")
    if snapshots != hasattr(found, "restore"):
        raise TypeError(f"class {found.__name__} has only one of the methods snapshot and restore")
    written = inspect.getattr_static(found, "process" if by_record else "process_batch")
    _check_signature(process, own=0 if isinstance(written, staticmethod | classmethod) else 1)
    return Form(
        built=True,
        batch=by_batch is not None,
        many=many if by_batch is not None else _gives_many(process),
        awaited=inspect.iscoroutinefunction(process),
        drops=not arrow and _may_drop(process, batch=by_batch is not None),
        arrow=arrow,
        state=declared_state or flushes or snapshots,
        flushes=flushes,
        snapshots=snapshots,
    )


def _check_signature(function: Any, *, own: int) -> None:
    """Raises TypeError if it can't be called with just a record. own: number of arguments before the record (self)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a built-in function without a signature
        return
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][own:]
    needed = [p.name for p in positional if p.default is p.empty]
    if len(needed) > 1:
        raise TypeError(f"it needs {' and '.join(needed)}, but is called with one record; options come after a *")
    if not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise TypeError("it takes no record: the first argument of a stage is the record")


def _gives_many(function: Any) -> bool:
    if inspect.isgeneratorfunction(function):
        return True
    origin = typing.get_origin(_returns(function))
    name = getattr(origin, "__name__", "")
    return name in ("Iterator", "Generator", "Iterable")


def _may_drop(function: Any, *, batch: bool) -> bool:
    """Whether a result may be None: `-> T | None`, in a batch transform `-> list[T | None]`."""
    returns = _returns(function)
    if not batch:
        return _may_be_none(returns)
    return any(map(_may_be_none, typing.get_args(returns))) if typing.get_origin(returns) is not None else False


def _may_be_none(returns: Any) -> bool:
    if returns is None or returns is type(None):
        return True
    if typing.get_origin(returns) in (typing.Union, types.UnionType):
        return type(None) in typing.get_args(returns)
    return False


def _returns(function: Any) -> Any:
    """The declared return type; `inspect.Signature.empty` if there is none or it can't be evaluated."""
    try:
        hints = typing.get_type_hints(function)
    except Exception:
        # The hint uses a name that only type checkers see, but its text shows whether it allows None.
        written = getattr(function, "__annotations__", {}).get("return", inspect.Signature.empty)
        if isinstance(written, str):
            return (object | None) if "None" in written else inspect.Signature.empty
        return written
    if "return" not in hints:
        return inspect.Signature.empty
    return type(None) if hints["return"] is None else hints["return"]
