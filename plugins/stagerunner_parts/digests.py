"""Equal values get the same text and the same hash.

Values are equal if they have the same types and content: 1, 1.0, True and "1" differ, as do (1, 2) and [1, 2], 0.0 and
-0.0, {1: "a"} and {"1": "a"}. The order of a mapping's keys and of a set doesn't matter; nan equals nan. Values that
only compare equal (Decimal("1.0") and Decimal("1.00"), one moment in two time zones) differ.

The text of a value is its JSON, if JSON holds it exactly; else <type content>, which can't be JSON.
"""

from __future__ import annotations

import copyreg
import json
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b
from pickle import PickleBuffer
from types import FunctionType
from typing import Any

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
_ATOMS = frozenset((str, int, float, bool, type(None)))
_TEXT = frozenset((str,))


def canonical(value: Any) -> str:
    """A text that is the same for equal values, and different for others.

    Raises TypeError for a value that can't be pickled, since its content isn't known.
    """
    if type(value) is str or _is_plain(value):
        try:
            return _encode(value)
        except ValueError:  # an integer of more digits than the interpreter writes
            pass
    return _tagged(value)


def digest(value: Any, *, size: int, key: bytes = b"") -> bytes:
    """A hash of a value's canonical text. `size`: bytes, at most 64; `key`: at most 64 bytes."""
    return blake2b(canonical(value).encode("utf-8", "surrogatepass"), digest_size=size, key=key).digest()


def key_of(value: Any) -> Any:
    """What a dict can find the value by: the same for equal values, and different for others.

    Raises TypeError for a value that can't be pickled.
    """
    kind = type(value)
    if kind is str:
        return value
    # A tuple never equals a text, nor one of an integer one of a text. Both come often, and are quick this way.
    return (value,) if kind is int else (canonical(value),)


def _is_plain(value: Any) -> bool:
    """Whether JSON holds the value exactly: only its own types, and all names are text."""
    kind = type(value)
    if kind is dict:
        return _TEXT.issuperset(map(type, value)) and _all_plain(value.values())
    return _all_plain(value) if kind is list else kind in _ATOMS


def _all_plain(values: Collection[Any]) -> bool:
    return _ATOMS.issuperset(map(type, values)) or all(map(_is_plain, values))


def _tagged(value: Any) -> str:
    write = _WRITERS.get(type(value))
    return f"<{_name(type(value))} {_content(value) if write is None else write(value)}>"


def _content(value: Any) -> str:
    """The content of any other value: the elements of an array, the name of a function, else what pickle gets."""
    if isinstance(value, type | FunctionType):
        if "<" in value.__qualname__:  # several may have that name
            raise TypeError(f"cannot pickle {_name(value)}, which has no name of its own")
        return _name(value)
    return _elements(value) if _is_array(value) else _reduced(value)


def _is_array(value: Any) -> bool:
    """Whether it is an array of numpy, or one with the same interface."""
    return all(hasattr(type(value), name) for name in ("dtype", "shape", "tobytes", "tolist"))


def _elements(array: Any) -> str:
    """Type, shape and elements in the order of the indexes, however they lie in memory."""
    held = _ordered(array.tolist()) if array.dtype.hasobject else array.tobytes().hex()
    return f"{array.dtype.descr!r} {array.shape!r} {held}"


def _reduced(value: Any) -> str:
    reduce: Callable[[Any], Any] | None = copyreg.dispatch_table.get(type(value))
    reduced = value.__reduce_ex__(5) if reduce is None else reduce(value)
    if isinstance(reduced, str):  # the name of a global object
        return f"{getattr(value, '__module__', '')}.{reduced}"
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    held = (make, arguments, state, None if items is None else list(items))
    return f"{_ordered(held)} {_pairs(pairs or ())}"


def _ordered(values: Iterable[Any]) -> str:
    return f"[{', '.join(map(canonical, values))}]"


def _unordered(values: Iterable[Any]) -> str:
    return f"[{', '.join(sorted(map(canonical, values)))}]"


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> str:
    return f"[{', '.join(sorted(f'{canonical(key)}: {canonical(value)}' for key, value in pairs))}]"


def _name(found: Any) -> str:
    return f"{found.__module__}.{found.__qualname__}"


_WRITERS: dict[type, Callable[[Any], str]] = {
    dict: lambda value: _pairs(value.items()),
    list: _ordered,
    tuple: _ordered,
    set: _unordered,
    frozenset: _unordered,
    bytes: bytes.hex,
    bytearray: bytearray.hex,
    memoryview: lambda value: f"{value.format} {value.shape!r} {value.tobytes().hex()}",
    PickleBuffer: lambda value: value.raw().tobytes().hex(),
    int: hex,
}
