"""Records as lines of COPY, encoded in the worker.

Whatever can be known there is checked there, since a record that the server refuses ends the run: NUL in a text,
numbers out of range, values of another type, null where it may not be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from itertools import groupby
from math import isfinite
from struct import Struct, pack
from typing import Any, TypeAlias
from uuid import UUID

from stagerunner_postgres.relations import Column

Names: TypeAlias = tuple[str, ...]
Format: TypeAlias = Callable[[Any], str]

SIZES = Struct(">II")
"""In front of each group of rows with the same columns: how many bytes its names have, and how many its lines."""

NULL = "\\N"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

WHOLE = {"int2": 15, "int4": 31, "int8": 63}
"""Bits of the whole numbers, without the sign."""

CLEAN = frozenset((*WHOLE, "numeric", "float4", "float8", "date", "timestamp", "timestamptz", "time", "timetz", "uuid"))
"""Types whose texts have no character that COPY wants escaped."""

TEXTS = ("text", "varchar", "bpchar", "name", "citext")
HEADER = 4
"""Added to lengths and precisions in a type's modifier."""

EXACT = Context(prec=20000, Emax=200000, Emin=-200000)


def packed(rows: list[dict[str, str]]) -> bytes:
    """Rows, as the texts of their columns, as groups of lines that share their columns."""
    pieces = []
    for columns, group in groupby(rows, tuple):
        head = json.dumps(columns).encode()
        lines = "".join(["\t".join(row.values()) + "\n" for row in group]).encode()
        pieces += [SIZES.pack(len(head), len(lines)), head, lines]
    return b"".join(pieces)


def unpacked(data: bytes | memoryview) -> Iterator[tuple[Names, bytes]]:
    """The groups: their columns, and the lines. `data` may be the output of several calls of `packed`, joined."""
    view, at = memoryview(data), 0
    while at < len(view):
        head, lines = SIZES.unpack_from(view, at)
        at += SIZES.size
        yield tuple(json.loads(bytes(view[at : at + head]))), bytes(view[at + head : at + head + lines])
        at += head + lines


def shown(columns: Names, line: bytes) -> str:
    """A line as a person reads it: `id=7, name=amy`."""
    values = (
        "null" if text == NULL else text.translate({10: " "})
        for text in line.decode(errors="replace").rstrip("\n").split("\t")
    )
    return ", ".join(f"{name}={value:.60}" for name, value in zip(columns, values, strict=False))


def format_of(column: Column) -> Format:
    """How a value that isn't None becomes the text of this column. It raises ValueError for one that doesn't fit."""
    if column.element is not None:
        inner = _format(column._replace(base=column.element, element=None))
        return lambda value: _array(value, inner).translate(ESCAPES)
    found = _format(column)
    return found if column.base in CLEAN else lambda value: found(value).translate(ESCAPES)


def _format(column: Column) -> Format:
    base = column.base
    if base in WHOLE:
        return _whole(1 << WHOLE[base], column.type)
    if base in TEXTS:
        return _text(column.modifier - HEADER if column.modifier >= HEADER and base != "text" else None)
    if base == "numeric":
        return _numeric(column.modifier)
    if column.labels is not None:
        return _label(column.labels, column.type)
    return FORMATS.get(base, _other)


def _whole(limit: int, kind: str) -> Format:
    def formatted(value: Any) -> str:
        if type(value) is str:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _not(value, "a whole number")
        if not -limit <= value < limit:
            raise ValueError(f"{value} is out of the range of {kind}")
        return int.__repr__(value)

    return formatted


def _text(length: int | None) -> Format:
    def formatted(value: Any) -> str:
        if not isinstance(value, str):
            raise _not(value, "a text")
        text = _storable(value)
        if length is not None and len(text.rstrip(" ")) > length:
            raise ValueError(f"a text of {len(text)} characters is too long for {length}: {text!r:.60}")
        return text

    return formatted


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"PostgreSQL can't store the character NUL: {text!r:.60}")
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r:.60} has half a surrogate pair, which can't be stored") from None
    return str.__str__(text)


def _numeric(modifier: int) -> Format:
    precision, scale = (None, None) if modifier < HEADER else _precision(modifier - HEADER)

    def formatted(value: Any) -> str:
        number = _decimal(value)
        if not number.is_finite():
            if precision is not None and number.is_infinite():
                raise ValueError(f"{value} is out of the range of numeric({precision},{scale})")
            return str(number)
        if number.adjusted() >= 131072 or (number and number.adjusted() < -16383):
            raise ValueError(f"{value!r:.60} is out of the range of numeric")
        if precision is not None and scale is not None:
            rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_EVEN, EXACT)
            if rounded and rounded.adjusted() >= precision - scale:
                raise ValueError(f"{value!r:.60} is out of the range of numeric({precision},{scale})")
        return str(number)

    return formatted


def _precision(modifier: int) -> tuple[int, int]:
    scale = modifier & 0x7FF
    return modifier >> 16, (scale ^ 1024) - 1024


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise _not(value, "a number")
    try:
        return Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise _not(value, "a number") from None


def _label(labels: list[str], kind: str) -> Format:
    def formatted(value: Any) -> str:
        if value not in labels:
            raise ValueError(f"{value!r:.60} isn't a value of {kind}: {', '.join(labels)}")
        return str(value)

    return formatted


def _double(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise _not(value, "a number")
    number = float(value)
    if not isfinite(number) and isinstance(value, int | Decimal | str) and Decimal(value).is_finite():
        raise ValueError(f"{value!r:.60} is out of the range of double precision")
    return repr(number)


def _single(value: Any) -> str:
    text = _double(value)
    try:
        pack(">f", float(text))
    except OverflowError:
        raise ValueError(f"{value!r:.60} is out of the range of real") from None
    if float(text) and 0 < abs(float(text)) < 7e-46:
        raise ValueError(f"{value!r:.60} is out of the range of real")
    return text


def _bool(value: Any) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, str) and value.lower() in ("t", "f", "true", "false", "yes", "no", "on", "off", "1", "0"):
        return value
    raise _not(value, "true or false")


def _bytes(value: Any) -> str:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _not(value, "bytes")
    return "\\x" + bytes(value).hex()


def _uuid(value: Any) -> str:
    return str(
        value if isinstance(value, UUID) else UUID(value) if isinstance(value, str) else _refuse(value, "a UUID")
    )


def _json(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it isn't JSON: {error}") from None
    if "\\u0000" in text:
        raise ValueError("PostgreSQL can't store the character NUL, in JSON neither")
    return _storable(text)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


INFINITE = ("infinity", "-infinity")


def _date(value: Any) -> str:
    if isinstance(value, str):
        return value if value in INFINITE else date.fromisoformat(value).isoformat()
    if isinstance(value, datetime) or not isinstance(value, date):
        raise _not(value, "a date")
    return value.isoformat()


def _moment(zoned: bool) -> Format:
    what = "a time with a zone" if zoned else "a time without a zone"

    def formatted(value: Any) -> str:
        if value in INFINITE:
            return str(value)
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime) or (moment.utcoffset() is None) is zoned:
            raise _not(value, what)
        return moment.isoformat()

    return formatted


def _clock(zoned: bool) -> Format:
    what = "a time of day with a zone" if zoned else "a time of day without a zone"

    def formatted(value: Any) -> str:
        clock = time.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(clock, time) or (clock.utcoffset() is None) is zoned:
            raise _not(value, what)
        return clock.isoformat()

    return formatted


def _interval(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    return _other(value)


def _other(value: Any) -> str:
    """Of types that only the server knows: the text of what has one."""
    if isinstance(value, bytes | bytearray | Mapping | list | tuple | set | bool) or value is None:
        raise _not(value, "a text")
    return _storable(str(value))


def _array(value: Any, inner: Format) -> str:
    if not isinstance(value, list | tuple):
        raise _not(value, "a list")
    nested = {len(item) if isinstance(item, list | tuple) else None for item in value}
    if len(nested) > 1:
        raise ValueError(f"the lists in an array need the same length: {value!r:.60}")
    return "{" + ",".join([_item(item, inner) for item in value]) + "}"


def _item(item: Any, inner: Format) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, list | tuple):
        return _array(item, inner)
    text = inner(item).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


FORMATS: dict[str, Format] = {
    "float4": _single,
    "float8": _double,
    "bool": _bool,
    "bytea": _bytes,
    "uuid": _uuid,
    "json": _json,
    "jsonb": _json,
    "date": _date,
    "timestamp": _moment(zoned=False),
    "timestamptz": _moment(zoned=True),
    "time": _clock(zoned=False),
    "timetz": _clock(zoned=True),
    "interval": _interval,
}


def plain(value: Any) -> Any:
    """What an enum stands for, else the value itself."""
    return value.value if isinstance(value, Enum) else value


def _not(value: Any, what: str) -> ValueError:
    return ValueError(f"{value!r:.60} is of type {type(value).__name__}, not {what}")


def _refuse(value: Any, what: str) -> Any:
    raise _not(value, what)
