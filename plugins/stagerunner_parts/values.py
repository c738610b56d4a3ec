"""The fields of a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagerunner import Reject


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
        return Reject(f"the record has no field {name!r}")
    return Reject(f"the record has no field {name!r}: it is no mapping but of type {type(record).__name__}")
