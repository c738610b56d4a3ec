"""`hookimpl`: marks a function as a hook of this program.

It sets the same attribute as pluggy's own marker, so that a worker can import a plugin without importing pluggy. A test
compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

C = TypeVar("C", bound=Callable[..., Any])

PROJECT = "stagerunner"


@overload
def hookimpl(function: C) -> C: ...
@overload
def hookimpl(*, tryfirst: bool = False, trylast: bool = False) -> Callable[[C], C]: ...
def hookimpl(function: Any = None, *, tryfirst: bool = False, trylast: bool = False) -> Any:
    """Mark a function of a plugin as an implementation of the hook with the same name."""

    def decorate(decorated: Any) -> Any:
        decorated.stagerunner_impl = {
            "wrapper": False,
            "hookwrapper": False,
            "optionalhook": False,
            "tryfirst": tryfirst,
            "trylast": trylast,
            "specname": None,
        }
        return decorated

    return decorate if function is None else decorate(function)
