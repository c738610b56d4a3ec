"""Importing a stage's target and building its transform."""

from __future__ import annotations

from functools import partial, reduce
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from stagerunner.evaluate.work import Work


def load(target: str) -> Any:
    """The object named by "module:qualified.name".

    Raises whatever the import raises, AttributeError if the module has no such name, ValueError without a colon.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise ValueError(f"{target!r} is not of the form module:name")
    return reduce(getattr, name.split("."), import_module(module))


def build(work: Work) -> Any:
    """The transform with its options: a function that takes only the record, or an instance of the class.

    Raises what `load` and the constructor raise.
    """
    found = load(work.target)
    if work.form.built:
        return found(**work.options)
    return with_options(found, work.options) if work.options else found


def with_options(found: Any, options: dict[str, Any]) -> Any:
    """The function with its options bound: a copy with other defaults if they are keyword-only, else a partial.

    Calling a partial with keywords takes twice as long as everything else that is done for a record; calling the copy
    costs no more than calling the function.
    """
    if type(found) is not FunctionType or not options.keys() <= set(_keyword_only(found.__code__)):
        return partial(found, **options)
    copy = FunctionType(found.__code__, found.__globals__, found.__name__, found.__defaults__, found.__closure__)
    copy.__kwdefaults__ = (found.__kwdefaults__ or {}) | options
    copy.__dict__.update(found.__dict__)
    return copy


def _keyword_only(code: CodeType) -> tuple[str, ...]:
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
