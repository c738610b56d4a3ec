"""Any values as plain data, for snapshots: they come back as what they were."""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from typing import Any

_LEAST, _MOST = -(2**63), 2**63
_SINGLE = (float, bool, type(None))
_NUMBERS = frozenset((int, *_SINGLE))
_TEXTS = frozenset((str,))


def packed(value: Any) -> Any:
    """The value as plain data: single values that MessagePack has as they are, anything else pickled, in a list."""
    kind = type(value)
    if kind is str:
        plain = value.isascii() or _is_utf8(value)
    else:
        plain = _LEAST <= value < _MOST if kind is int else kind in _SINGLE
    return value if plain else [b64encode(pickle.dumps(value)).decode()]


def unpacked(data: Any) -> Any:
    """What `packed` was given."""
    return pickle.loads(b64decode(data[0])) if isinstance(data, list) else data


def _is_utf8(text: str) -> bool:
    """Whether it has no half characters (lone surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def packed_all(values: list[Any]) -> list[Any]:
    """Each of the values packed. Many of the same plain kind, as there usually are, are looked at together."""
    kinds = set(map(type, values))
    if kinds <= _NUMBERS:
        whole = [value for value in values if type(value) is int] if int in kinds else []
        if not whole or (min(whole) >= _LEAST and max(whole) < _MOST):
            return values
    if kinds == _TEXTS and _is_utf8("".join(values)):
        return values
    return list(map(packed, values))


def unpacked_all(data: list[Any]) -> list[Any]:
    """What `packed_all` was given."""
    return list(map(unpacked, data)) if list in set(map(type, data)) else data
