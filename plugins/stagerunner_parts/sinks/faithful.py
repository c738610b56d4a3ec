"""What JSON can't hold and the encoder alters without a word: nan, sets, keys that aren't text.

Looked at level by level and not record by record: for plain values all of it happens in C.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import chain
from math import isfinite
from typing import Any

PLAIN = frozenset((str, int, bool, float, type(None)))
COMMON = PLAIN | {dict, list, tuple}
TEXT = frozenset((str,))


def check(values: Sequence[Any], nulls: int) -> None:
    """Raises ValueError if any value, however deep, would be altered. nulls: how often that stands in their JSON.

    More nulls than there are None: some number has become one, or some text has that word in it.
    """
    nones, floats = 0, []
    while values:
        kinds = set(map(type, values))
        if nulls:
            nones += values.count(None) if kinds <= COMMON else sum(value is None for value in values)
            if float in kinds:
                floats.append(values)
        odd = kinds - PLAIN
        values = _inside(values, kinds, odd) if odd else ()
    if nulls != nones:
        for level in floats:
            _check_floats(level)


def _check_floats(values: Iterable[Any]) -> None:
    for value in values:
        if type(value) is float and not isfinite(value):
            raise ValueError(f"JSON has no {value}")


def _inside(values: Sequence[Any], kinds: set[type], odd: set[type]) -> list[Any]:
    """All that is in them."""
    if odd == {dict}:
        dicts = values if kinds == odd else [value for value in values if type(value) is dict]
        if not TEXT.issuperset(map(type, set(chain.from_iterable(dicts)))):
            for one in dicts:
                _check_keys(one)
        return list(chain.from_iterable(map(dict.values, dicts)))
    return list(chain.from_iterable([_parts(value) for value in values if type(value) not in PLAIN]))


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        _check_keys(value)
        return value.values()
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, set | frozenset):
        raise ValueError("a set has no order, and JSON has no sets: sorted(…) makes a list")
    if isinstance(value, Enum):
        return (value.value,)
    if isinstance(value, float):
        _check_floats([float(value)])
    if fields := getattr(type(value), "__dataclass_fields__", getattr(type(value), "__struct_fields__", ())):
        return [getattr(value, name, None) for name in fields]
    if hasattr(value, "tolist"):
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        return () if kind in ("m", "M") else (value.tolist(),)
    return ()


def _check_keys(value: dict[Any, Any]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"a name in JSON is text, and {key!r:.60} is of type {type(key).__name__}")
