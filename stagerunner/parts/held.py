"""Functions and classes that no name leads to, a lambda or what a notebook defines: held by the process they are in.

`target_of` gives them a target like any other; imported here, by the same process, it leads back to the object.
"""

from __future__ import annotations

import sys
from functools import reduce
from typing import Any
from weakref import WeakValueDictionary

_weak: WeakValueDictionary[str, Any] = WeakValueDictionary()
_strong: dict[str, Any] = {}
"""The few that can't be referred to weakly. The others live as long as their plan."""


def target_of(found: Any) -> str:
    """ "module:name": what any process of ours can import, where there is such a name; else what this one alone can."""
    return _name_of(found) or _hold(found)


def is_held(target: str) -> bool:
    """Whether only the process that has made this target can follow it."""
    return target.startswith(f"{__name__}:")


def _name_of(found: Any) -> str:
    """The name that leads to an object, from a module that a process just begun can import; "" where there is none."""
    owner = getattr(found, "__objclass__", None)  # of a method of a built-in type, as str.upper
    module = str(getattr(found, "__module__", None) or getattr(owner, "__module__", None))
    name = getattr(found, "__qualname__", "")
    spec = getattr(sys.modules.get(module), "__spec__", None)
    if not name or "<" in name or module == "__main__" or spec is None or spec.origin is None:
        return ""
    try:
        leads_to = reduce(getattr, name.split("."), sys.modules[module])
    except AttributeError:
        return ""
    return f"{module}:{name}" if leads_to is found else ""


def _hold(found: Any) -> str:
    key = f"object_{id(found)}"
    try:
        _weak[key] = found
    except TypeError:
        _strong[key] = found
    return f"{__name__}:{key}"


def __getattr__(name: str) -> Any:
    for held in (_weak, _strong):
        if name in held:
            return held[name]
    raise AttributeError(f"this process holds no {name}")
