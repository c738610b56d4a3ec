"""`hookimpl`: marks a function as a hook of this program.

It sets the attribute that pluggy's own marker sets, so that a plugin can be imported in a worker without pluggy
(a test holds the two against each other).
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
    """Mark a function of a plugin as the hook it is named after."""

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
