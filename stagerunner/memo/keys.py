"""Records as canonical bytes: equal bytes mean that no stage can tell the records apart.

Order and exact types count: 1, 1.0 and True differ, so do 0.0 and -0.0, bytes and text, and two dicts whose keys stand
in another order. Only sets are sorted. A value is its tag, its length and its content, so no two share an encoding.
What can't be encoded soundly raises NoKey: an object may hold anything, and what its class does may change.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any

FORMAT = 1
"""Of keys, and of what is kept under them."""

SIZE = 24
"""Bytes of a digest."""

ClassKnown = Callable[[type], bool]
"""Whether the code of this class is part of the key anyway, as that of the stage's own modules is."""


class NoKey(Exception):
    """The record has no key. The text says what is in it: "a json.decoder.JSONDecoder"."""


def nothing_known(kind: type) -> bool:
    """No class of a plugin is known."""
    return False


def digest(*parts: bytes) -> bytes:
    """The digest of these parts. Where one ends and the next begins counts."""
    made = blake2b(digest_size=SIZE)
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.digest()


def encoded(value: Any, known: ClassKnown = nothing_known) -> bytes:
    """The canonical bytes of a value. Raises NoKey if it has none."""
    encoder = Encoder(known)
    try:
        encoder.add(value)
    except RecursionError:
        raise NoKey("too many levels") from None
    return bytes(encoder.data)


class Encoder:
    """Encodes one record. A mutable object that comes again is encoded as its number: a stage may notice that it is
    shared."""

    __slots__ = ("_known", "_met", "data")

    def __init__(self, known: ClassKnown) -> None:
        self.data = bytearray()
        self._known = known
        self._met: dict[int, int] = {}

    def add(self, value: Any) -> None:
        """Append the encoding of a value. Raises NoKey."""
        kind = type(value)
        if (single := _SINGLE.get(kind)) is not None:
            self.put(*single(value))
        elif (holding := _HOLDING.get(kind)) is not None:
            holding(self, value)
        elif (library := _LIBRARY.get(f"{kind.__module__}.{kind.__qualname__}")) is not None and _is_its_own(kind):
            library(self, value)
        elif self._known(kind):
            self._object(kind, value)
        else:
            raise NoKey(f"a {kind.__module__}.{kind.__qualname__}")

    def put(self, tag: bytes, content: bytes | bytearray) -> None:
        """Append a value that is one piece of bytes."""
        self.data += tag
        self.data += len(content).to_bytes(8, "big")
        self.data += content

    def many(self, tag: bytes, number: int, values: Iterable[Any]) -> None:
        """Append a value that holds so many others."""
        self.data += tag
        self.data += number.to_bytes(8, "big")
        for value in values:
            self.add(value)

    def again(self, value: Any) -> bool:
        """Whether this mutable object came before; then its number was appended."""
        number = self._met.get(id(value))
        if number is None:
            self._met[id(value)] = len(self._met)
            return False
        self.put(b"^", number.to_bytes(8, "big"))
        return True

    def unordered(self, tag: bytes, values: Iterable[Any]) -> None:
        """Append a set. What is mutable in it, as no ordinary value is, would have no number of its own."""
        pieces = []
        for value in values:
            inner = Encoder(self._known)
            inner.add(value)
            if inner._met:
                raise NoKey("a set of mutable values")
            pieces.append(bytes(inner.data))
        self.put(tag, b"".join(len(piece).to_bytes(8, "big") + piece for piece in sorted(pieces)))

    def _object(self, kind: type, value: Any) -> None:
        """An enum member, a named tuple or a dataclass of a known class."""
        name = f"{kind.__module__}:{kind.__qualname__}".encode()
        if _is_enum(kind):
            self.put(b"E", name + b"." + str(value.name).encode())
        elif kind.__bases__ == (tuple,) and hasattr(kind, "_fields") and not getattr(value, "__dict__", None):
            self.put(b"C", name)
            self.many(b"P", len(value), value)
        elif (fields := _fields_of(kind, value)) is not None:
            if not self.again(value):
                self.put(b"O", name)
                self.many(b"D", 2 * len(fields), (piece for pair in fields.items() for piece in pair))
        else:
            raise NoKey(f"a {kind.__module__}.{kind.__qualname__}")


def _is_its_own(kind: type) -> bool:
    """Whether the class is what its name says."""
    return getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind


def _is_enum(kind: type) -> bool:
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(kind, enum.EnumMeta) and not issubclass(kind, enum.Flag)


def _fields_of(kind: type, value: Any) -> dict[str, Any] | None:
    """The attributes of a dataclass's instance; None if it could hold anything besides its fields."""
    names = list(getattr(kind, "__dataclass_fields__", ()))
    plain = all(base is object or "__dataclass_fields__" in vars(base) for base in kind.__mro__)
    if not plain or "__dataclass_fields__" not in vars(kind):
        return None
    slots = {slot for base in kind.__mro__ for slot in vars(base).get("__slots__", ())}
    if not {*getattr(value, "__dict__", ()), *slots} <= {*names, "__weakref__", "__dict__"}:
        return None
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


# Values of one piece


def _integer(value: int) -> tuple[bytes, bytes]:
    return b"i", value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


_SINGLE: dict[type, Callable[[Any], tuple[bytes, bytes]]] = {
    type(None): lambda value: (b"N", b""),
    bool: lambda value: (b"T" if value else b"F", b""),
    int: _integer,
    float: lambda value: (b"f", struct.pack(">d", value)),
    complex: lambda value: (b"c", struct.pack(">2d", value.real, value.imag)),
    str: lambda value: (b"s", value.encode("utf-8", "surrogatepass")),
    bytes: lambda value: (b"b", value),
}


# Values that hold others, or that can be changed


def _bytearray(encoder: Encoder, value: bytearray) -> None:
    if not encoder.again(value):
        encoder.put(b"B", value)


def _list(encoder: Encoder, value: list[Any]) -> None:
    if not encoder.again(value):
        encoder.many(b"l", len(value), value)


def _dict(encoder: Encoder, value: dict[Any, Any]) -> None:
    if not encoder.again(value):
        encoder.many(b"d", 2 * len(value), (piece for pair in value.items() for piece in pair))


def _set(encoder: Encoder, value: set[Any]) -> None:
    if not encoder.again(value):
        encoder.unordered(b"S", value)


_HOLDING: dict[type, Callable[[Encoder, Any], None]] = {
    tuple: lambda encoder, value: encoder.many(b"t", len(value), value),
    frozenset: lambda encoder, value: encoder.unordered(b"Z", value),
    bytearray: _bytearray,
    list: _list,
    dict: _dict,
    set: _set,
}


# Classes of the standard library, and numpy's arrays: by name, so that none is imported here


def _parts(tag: bytes, parts: Callable[[Any], tuple[Any, ...]]) -> Callable[[Encoder, Any], None]:
    """A value that consists of plain ones."""

    def add(encoder: Encoder, value: Any) -> None:
        encoder.put(b"L", tag)
        encoder.add(parts(value))

    return add


def _time(value: Any) -> tuple[Any, ...]:
    """Raises NoKey for a zone whose rules stand elsewhere."""
    zone = value.tzinfo
    if zone is not None and f"{type(zone).__module__}.{type(zone).__qualname__}" != "datetime.timezone":
        raise NoKey(f"a time in a {type(zone).__qualname__}, whose rules may change")
    return value.isoformat(), value.fold, None if zone is None else repr(zone)


def _array(encoder: Encoder, value: Any) -> None:
    if not encoder.again(value):
        encoder.put(b"A", _type_of_array(value.dtype))
        encoder.add((value.shape, value.flags.c_contiguous, value.flags.f_contiguous))
        encoder.put(b"b", value.tobytes())


def _type_of_array(dtype: Any) -> bytes:
    """Raises NoKey for elements that are objects, or lie elsewhere."""
    if dtype.hasobject or dtype.metadata or dtype.kind not in "biufcmMSUV":
        raise NoKey(f"an array of {dtype}")
    return f"{dtype.str} {dtype.descr} {dtype.itemsize}".encode()


def _array_scalar(encoder: Encoder, value: Any) -> None:
    encoder.put(b"a", _type_of_array(value.dtype))
    encoder.put(b"b", value.tobytes())


_LIBRARY: dict[str, Callable[[Encoder, Any], None]] = {
    "datetime.datetime": _parts(b"datetime", _time),
    "datetime.time": _parts(b"time", _time),
    "datetime.date": _parts(b"date", lambda value: (value.isoformat(),)),
    "datetime.timedelta": _parts(b"timedelta", lambda value: (value.days, value.seconds, value.microseconds)),
    "decimal.Decimal": _parts(b"decimal", lambda value: tuple(value.as_tuple())),
    "fractions.Fraction": _parts(b"fraction", lambda value: (value.numerator, value.denominator)),
    "uuid.UUID": _parts(b"uuid", lambda value: (value.int, str(value.is_safe))),
    **{  # in Python 3.13 they have a module of their own
        f"{module}.{name}": _parts(code, lambda value: (str(value),))
        for module in ("pathlib", "pathlib._local")
        for name, code in (("PosixPath", b"path"), ("PurePosixPath", b"purepath"))
    },
    "builtins.range": _parts(b"range", lambda value: (value.start, value.stop, value.step)),
    "numpy.ndarray": _array,
    **{
        f"numpy.{name}": _array_scalar
        for name in (
            *("bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "longdouble", "complex64", "complex128", "datetime64", "timedelta64"),
        )
    },
}
