"""The fields of a record, and one text for equal values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
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


def canonical(value: Any) -> str:
    """A text that equal values share and no others: 1, 1.0, true and "1" all differ.

    Raises TypeError for mappings whose keys can't be put in order.
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=_stand_in)


def _stand_in(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return ["set", sorted(canonical(item) for item in value)]
    return [type(value).__name__, repr(value)]


def digest(value: Any, *, size: int, key: bytes = b"") -> bytes:
    """A hash of a value's canonical text. `size`: bytes, at most 64; `key`: at most 64 bytes."""
    return blake2b(canonical(value).encode("utf-8", "surrogatepass"), digest_size=size, key=key).digest()
