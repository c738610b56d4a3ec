"""From the target a worker is told to the transform it calls."""

from __future__ import annotations

from functools import partial, reduce
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from stagerunner.evaluate.work import Work


def load(target: str) -> Any:
    """The object that "module:qualified.name" stands for.

    Raises whatever the import raises, AttributeError where the module has no such name, ValueError without a colon.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise ValueError(f"{target!r} is not of the form module:name")
    return reduce(getattr, name.split("."), import_module(module))


def build(work: Work) -> Any:
    """The transform with its options: a function that takes the record alone, or an instance of the class.

    Raises what `load` and the constructor raise.
    """
    found = load(work.target)
    if work.form.built:
        return found(**work.options)
    return with_options(found, work.options) if work.options else found


def with_options(found: Any, options: dict[str, Any]) -> Any:
    """A function that needs no options: a copy with these as its defaults where it is plain enough, else a partial.

    The interpreter calls such a copy as it calls any function; a partial with keywords takes twice as long as all that
    is otherwise done for a record.
    """
    if type(found) is not FunctionType or not options.keys() <= set(_keyword_only(found.__code__)):
        return partial(found, **options)
    copy = FunctionType(found.__code__, found.__globals__, found.__name__, found.__defaults__, found.__closure__)
    copy.__kwdefaults__ = (found.__kwdefaults__ or {}) | options
    copy.__dict__.update(found.__dict__)
    return copy


def _keyword_only(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
