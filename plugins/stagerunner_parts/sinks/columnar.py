"""Values for typed columns, as DuckDB has them: which type a value asks for, and what a column takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import Enum
from math import isfinite
from typing import Any, TypeAlias
from uuid import UUID

from stagerunner_parts.sinks.rendering import json_text

Fit: TypeAlias = Callable[[Any], Any]

BITS = {"TINYINT": 7, "SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}
UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64, "UHUGEINT": 128}
PLAIN: tuple[tuple[type, str], ...] = (
    (bool, "BOOLEAN"),
    (int, "BIGINT"),
    (float, "DOUBLE"),
    (str, "VARCHAR"),
    (bytes, "BLOB"),
    (Decimal, "DECIMAL(38,10)"),
    (date, "DATE"),
    (time, "TIME"),
    (timedelta, "INTERVAL"),
    (UUID, "UUID"),
)
ZONED = "TIMESTAMP WITH TIME ZONE"
EXACT = Context(prec=80)
OTHERWISE = {
    "INT": "INTEGER",
    "LONG": "BIGINT",
    "TEXT": "VARCHAR",
    "STRING": "VARCHAR",
    "BOOL": "BOOLEAN",
    "BYTEA": "BLOB",
    "REAL": "FLOAT",
    "TIMESTAMPTZ": ZONED,
    "DATETIME": "TIMESTAMP",
}
"""Other names of types, by which DuckDB doesn't call them itself."""


def type_of(value: Any) -> str:
    """The type of a new column whose first value this is. A null says nothing, so it becomes text."""
    value = plain(value)
    if isinstance(value, datetime):
        return "TIMESTAMP" if value.utcoffset() is None else ZONED
    if value is None:
        return "VARCHAR"
    return next((name for kind, name in PLAIN if isinstance(value, kind)), "JSON")


def spelled(kind: str) -> str:
    """A type as DuckDB spells it. Raises ValueError for what can't be one."""
    if not re.fullmatch(r"[\w\s(),\[\]\"']+", kind):
        raise ValueError(f"{kind!r} can't be a type of DuckDB")
    upper = " ".join(kind.upper().split())
    return OTHERWISE.get(upper, re.sub(r",\s*", ",", upper) if upper.startswith("DECIMAL") else upper)


def plain(value: Any) -> Any:
    """What an enum stands for, else the value itself."""
    return value.value if isinstance(value, Enum) else value


def fit_of(kind: str) -> Fit:
    """What makes a value, not None, one of a column of this type. It raises ValueError for one that doesn't fit."""
    if kind in BITS:
        return _whole(-(1 << BITS[kind]), 1 << BITS[kind], kind)
    if kind in UNSIGNED:
        return _whole(0, 1 << UNSIGNED[kind], kind)
    if found := re.fullmatch(r"DECIMAL\((\d+),\s*(\d+)\)", kind):
        return _decimal(int(found[1]), int(found[2]), kind)
    if kind.startswith("ENUM(") and not kind.endswith("]"):
        return _one_of({label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", kind)})
    return FITS.get(kind) or (_same if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")) else _text)


def _whole(lowest: int, beyond: int, kind: str) -> Fit:
    def fit(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _not(value, kind)
        if not lowest <= value < beyond:
            raise ValueError(f"{value} is out of the range of {kind}")
        return int(value)

    return fit


def _decimal(digits: int, scale: int, kind: str) -> Fit:
    def fit(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise _not(value, kind)
        number = Decimal(repr(value) if isinstance(value, float) else value)
        try:
            kept = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_EVEN, EXACT)
        except InvalidOperation:
            raise ValueError(f"{value} is out of the range of {kind}") from None
        if kept != number:
            raise ValueError(f"{value} has more decimals than {kind}")
        if kept and kept.adjusted() >= digits - scale:
            raise ValueError(f"{value} is out of the range of {kind}")
        return kept

    return fit


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _not(value, "a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{value} is out of the range of DOUBLE") from None
    if not isfinite(number) and isinstance(value, Decimal):
        raise ValueError(f"{value} is out of the range of DOUBLE")
    return number


def _one_of(labels: Collection[str]) -> Fit:
    def fit(value: Any) -> str:
        if not isinstance(value, str) or value not in labels:
            raise ValueError(f"{value!r:.60} is none of {', '.join(map(repr, sorted(labels)[:8]))}")
        return str.__str__(value)

    return fit


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _not(value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{value!r:.60} has half a surrogate pair, which can't be stored") from None
    return str.__str__(value)


def _json(value: Any) -> str:
    return json_text(value).decode()


def _of(kinds: type | tuple[type, ...], what: str, *, but: type | None = None) -> Fit:
    def fit(value: Any) -> Any:
        if not isinstance(value, kinds) or (but is not None and isinstance(value, but)):
            raise _not(value, what)
        return value

    return fit


def _moment(*, zoned: bool) -> Fit:
    what = f"a time with{'' if zoned else 'out'} a zone"

    def fit(value: Any) -> datetime:
        if not isinstance(value, datetime) or (value.utcoffset() is None) is zoned:
            raise _not(value, what)
        return value

    return fit


def _same(value: Any) -> Any:
    return value


def _not(value: Any, what: str) -> ValueError:
    return ValueError(f"{value!r:.60} is of type {type(value).__name__}, not {what}")


FITS: dict[str, Fit] = {
    "BOOLEAN": _of(bool, "true or false"),
    "DOUBLE": _float,
    "FLOAT": _float,
    "BLOB": _of(bytes, "bytes"),
    "DATE": _of(date, "a date", but=datetime),
    "TIME": _of(time, "a time of day"),
    "INTERVAL": _of(timedelta, "a span of time"),
    "UUID": _of((UUID, str), "a UUID"),
    "JSON": _json,
    "TIMESTAMP": _moment(zoned=False),
    "TIMESTAMP_S": _moment(zoned=False),
    "TIMESTAMP_MS": _moment(zoned=False),
    "TIMESTAMP_NS": _moment(zoned=False),
    ZONED: _moment(zoned=True),
}
