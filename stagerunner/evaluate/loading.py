"""From the target a worker is told to the transform it calls."""

from __future__ import annotations

from functools import partial, reduce
from importlib import import_module
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
    """The transform with its options: the function itself, a partial of it, or an instance of the class.

    Raises what `load` and the constructor raise.
    """
    found = load(work.target)
    if work.form.built:
        return found(**work.options)
    return partial(found, **work.options) if work.options else found
