"""Functions and classes that can't be imported by name, such as a lambda or one defined in a notebook.

`target_of` gives each of them a target in this module. Importing that target in the same process returns the object.
"""

from __future__ import annotations

import sys
from functools import reduce
from typing import Any
from weakref import WeakValueDictionary

_weak: WeakValueDictionary[str, Any] = WeakValueDictionary()
_strong: dict[str, Any] = {}
"""Objects that don't support weak references. The others live as long as their plan."""


def target_of(found: Any) -> str:
    """ "module:name" that any process can import, if the object has such a name; else one for this process alone."""
    return _name_of(found) or _hold(found)


def is_held(target: str) -> bool:
    """Whether only the process that made this target can import it."""
    return target.startswith(f"{__name__}:")


def _name_of(found: Any) -> str:
    """The "module:name" of an object that a new process can import; "" if there is none."""
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
    raise AttributeError(f"this process has no {name}")
