"""One text, and one hash, for equal values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any


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
