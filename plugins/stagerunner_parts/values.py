"""The fields of a record."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from stagerunner import Reject

MOST_NAMES = 500
"""Fields that are looked through for one like the missing one."""


def field(record: Any, name: str) -> Any:
    """The field of a record; `a.b` is field b of field a, unless a field is called "a.b".

    Raises Reject when there is none.
    """
    try:
        return record[name]
    except (KeyError, IndexError, TypeError):
        return _reached(record, name)


def _reached(record: Any, name: str) -> Any:
    found = record
    for key in name.split("."):
        if not isinstance(found, Mapping) or key not in found:
            raise missing(record, name)
        found = found[key]
    return found


def missing(record: Any, name: str) -> Reject:
    """The refusal of a record that lacks a field."""
    if isinstance(record, Mapping):
        near = _nearest(name, tuple(islice((key for key in record if isinstance(key, str)), MOST_NAMES)))
        return Reject(f"the record has no field {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    return Reject(f"the record has no field {name!r}: it is no mapping but of type {type(record).__name__}")


@lru_cache(maxsize=256)
def _nearest(name: str, names: tuple[str, ...]) -> str:
    """The name most like this one; `a.b` may be meant to be `a.c`, or plain `b`."""
    import difflib  # only records that lack a field need it

    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.6)), "")
