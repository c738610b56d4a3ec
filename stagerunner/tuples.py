"""`NamedTuple` as `typing` has it, for what every process imports.

typing's own compiles each annotation as it makes a class, in vain, which is more than half of its time. A checker sees
typing's.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: TID251
else:

    class _Making(type):
        """Makes a named tuple of a class that is written under `NamedTuple`."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = body["__annotations__"]
            defaults = [body.pop(field) for field in fields if field in body]  # the last ones: a checker sees to that
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Making):
        """The base to write them under."""
