"""What JSON can't hold and the encoder alters without a word: nan, sets, keys that aren't text.

Looked at level by level and not record by record: for plain values all of it happens in C. Of dicts of plain values
the JSON itself says nearly everything: nan and infinity become null, a set begins with a bracket, a dict in a record
with a brace. What has none of these is as it was, if all names are text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from gc import get_referents, is_tracked
from itertools import chain, compress
from math import isfinite
from typing import Any

PLAIN = frozenset((str, int, bool, float, type(None)))
COMMON = PLAIN | {dict, list, tuple}
TEXT = frozenset((str,))
DICT = {dict}
LIST = {list}
NESTED = frozenset((dict, list, tuple))


class _Named:
    def __init__(self) -> None:
        self.a = 1


TELLING = [len(get_referents(one)) for one in ({"a": 1}, vars(_Named()), {1: 1})] == [1, 1, 2]
"""Dicts refer to their values, and to their names only if one of these isn't plain text: CPython's garbage collector
has no interest in text. Where it is otherwise names are looked at one by one."""


def unaltered(records: Sequence[Any], data: bytes) -> bool:
    """Whether the JSON of these records certainly says what they are; `check` looks closer at the others."""
    kinds = set(map(type, records))
    if kinds == DICT and b"[" not in data and data.count(b"{") == len(records) and b":null" not in data:
        return _named_by_text(records)
    return TELLING and _plain(records, kinds, data.count(b"null"))


def _named_by_text(dicts: Sequence[Any]) -> bool:
    if TELLING:
        return len(get_referents(*dicts)) == sum(map(len, dicts))
    return TEXT.issuperset(map(type, chain.from_iterable(dicts)))


def _plain(values: Sequence[Any], kinds: set[type], nulls: int) -> bool:
    """Whether these, however deep, are of JSON's own types, all names text, and None as often as there are nulls."""
    nones = 0
    while True:
        if nulls:
            nones += values.count(None)
        nested = kinds - PLAIN
        if not nested:
            return nones == nulls
        if not nested <= NESTED:
            return False
        holders = values if kinds == nested else _nested(values, nested)
        values = get_referents(*holders)
        if len(values) != sum(map(len, holders)):
            return False
        kinds = set(map(type, values))


def _nested(values: Sequence[Any], kinds: set[type]) -> list[Any]:
    """Those of these kinds. A list is always tracked by the garbage collector, plain values never are."""
    if kinds == LIST:
        return list(filter(is_tracked, values))
    return list(compress(values, map(NESTED.__contains__, map(type, values))))


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
