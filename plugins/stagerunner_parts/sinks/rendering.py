"""Records as text. What a text can't hold is refused, never altered.

The JSON encoder alters some values silently: nan becomes null, a set a list, a key that isn't text becomes one. So
everything that was encoded is checked, level by level and not record by record: for plain values all of it happens in
C. For dicts of plain values a look at the JSON is nearly enough: nan and infinity become null, a set begins with a
bracket, a dict inside a record with a brace. Without any of these a record is exact, if all its names are text. Where
records have long texts, it is quicker to look at the values, field by field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from functools import cache
from gc import get_referents, is_tracked
from itertools import chain, compress
from math import isfinite
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec.json

COARSE = frozenset(("us", "ms", "s", "m", "h", "D", "W"))
"""Units of a numpy duration that `timedelta` can hold."""

PLAIN = frozenset((str, int, bool, float, type(None)))
COMMON = PLAIN | {dict, list, tuple}
LONG = 100
"""Bytes of a record's JSON from which on looking at its values takes less time than looking at the JSON."""
TEXT = frozenset((str,))
DICT = {dict}
LIST = {list}
NESTED = frozenset((dict, list, tuple))


class _Named:
    def __init__(self) -> None:
        self.a = 1


TELLING = [len(get_referents(one)) for one in ({"a": 1}, vars(_Named()), {1: 1})] == [1, 1, 2]
"""Whether `get_referents` tells if all names of a dict are plain text, as in CPython: then it returns only the values,
else the names too. Elsewhere, names are checked one by one."""


def json_text(record: Any) -> bytes:
    """A record as JSON on one line. Raises TypeError or ValueError if JSON can't hold it."""
    return _checked(_encoder().encode(record), [record])


def json_lines(records: list[Any]) -> bytes:
    """Each record as a line of JSON, with its newline."""
    return _checked(_encoder().encode_lines(records), records)


def text_lines(records: list[Any]) -> bytes:
    """A line for each record: text as it is, everything else as JSON."""
    try:
        return "\n".join([*records, ""]).encode()
    except TypeError:
        return b"".join(_line(record) for record in records)


def _line(record: Any) -> bytes:
    return (record.encode() if isinstance(record, str) else json_text(record)) + b"\n"


@cache
def _encoder() -> msgspec.json.Encoder:
    # Imported late: a worker that writes only texts, the usual end of a filter, starts twice as fast without it.
    import msgspec.json

    return msgspec.json.Encoder(enc_hook=_stand_in, decimal_format="number")


def _stand_in(value: Any) -> Any:
    # Subclasses of JSON's own types, such as a text that is marked as safe.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    # Arrays and scalars of numerical libraries can convert themselves.
    if hasattr(value, "tolist"):
        return _listed(value)
    raise TypeError(f"a value of type {type(value).__name__} can't be written as JSON")


def _listed(value: Any) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("m", "M"):
        return _times(value, kind)
    listed = value.tolist()
    if type(listed) is type(value):
        raise TypeError(f"a value of type {value.dtype} can't be written as JSON")
    return listed


def _times(value: Any, kind: str) -> Any:
    """Times as texts with all their digits: `tolist` would make nanoseconds a bare number."""
    if "NaT" in str(value.astype(str)):
        raise ValueError("JSON has no NaT")
    if kind == "M":
        return value.astype(str).tolist()
    if value.dtype.str[4:-1] not in COARSE:
        raise ValueError(f"JSON has no duration in {value.dtype.str[4:-1]}; make it a number")
    return value.tolist()


def _checked(data: bytes, records: list[Any]) -> bytes:
    if not is_exact(records, data):
        if _words(data):
            import msgspec.json

            for line in data.splitlines():
                msgspec.json.decode(line)
        check_exact(records, data.count(b"null"))
    return data


def _words(data: bytes) -> bool:
    """Whether NaN or Infinity occurs, as which msgspec 0.21 writes a decimal that isn't finite; later ones refuse it.
    One letter is searched for first: that takes next to no time, while searching for a word takes as long as encoding.
    """
    return (b"N" in data and b"NaN" in data) or (b"I" in data and b"Infinity" in data)


def is_exact(records: Sequence[Any], data: bytes) -> bool:
    """Whether this JSON certainly holds the records exactly. `check_exact` examines the rest."""
    kinds = set(map(type, records))
    if TELLING and kinds == DICT and len(data) >= LONG * len(records) and _flat(records):
        return True
    whole = kinds == DICT and b"[" not in data and data.count(b"{") == len(records)
    if whole and b":null" not in data and not _words(data):
        return _named_by_text(records)
    return TELLING and _plain(records, kinds, data.count(b"null"))


def _named_by_text(dicts: Sequence[Any]) -> bool:
    if TELLING:
        return len(get_referents(*dicts)) == sum(map(len, dicts))
    return TEXT.issuperset(map(type, chain.from_iterable(dicts)))


def _flat(dicts: Sequence[Any]) -> bool:
    """Whether all names are text, and all values plain and not altered. The values of one field lie equally far apart
    if all dicts have as many; if not, some "fields" have values of several, which alters no answer."""
    width = len(dicts[0])
    if not width or not PLAIN.issuperset(map(type, dicts[0].values())):
        return False
    values = get_referents(*dicts)
    if len(values) != sum(map(len, dicts)):
        return False
    return all(_unaltered(values[place::width]) for place in range(width))


def _unaltered(values: Sequence[Any]) -> bool:
    """Whether these are all plain and finite; False too if that takes longer to find out."""
    kinds = set(map(type, values))
    if float not in kinds:
        return kinds <= PLAIN
    if str in kinds or not kinds <= PLAIN:
        return False
    try:
        return isfinite(sum(filter(None, values)))  # with a nan or an infinity among them the sum isn't finite either
    except OverflowError:
        return False


def _plain(values: Sequence[Any], kinds: set[type], nulls: int) -> bool:
    """Whether all values, at any depth, have JSON's own types, all names are text, and each null comes from a None."""
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
    """The values of these types. The garbage collector tracks every list and no plain value."""
    if kinds == LIST:
        return list(filter(is_tracked, values))
    return list(compress(values, map(NESTED.__contains__, map(type, values))))


def check_exact(values: Sequence[Any], nulls: int) -> None:
    """Raises ValueError if JSON has altered any of the values, at any depth.

    nulls: how often "null" occurs in their JSON. If that is more than there are None, a number may have become null (or
    a text contains the word), so numbers are checked.
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
    """The values inside these values, one level deeper."""
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
        raise ValueError("JSON has no sets: make it a list with sorted(…)")
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
            raise ValueError(f"a name in JSON must be text, but {key!r:.60} is of type {type(key).__name__}")
