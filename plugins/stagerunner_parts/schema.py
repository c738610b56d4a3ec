"""The stage `types`: records are held against a schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeAlias

from stagerunner import Reject, missing_field, stage
from stagerunner_parts.convert import FALSE, TRUE
from stagerunner_parts.values import field_or, must_be_mapping, with_field

Kind: TypeAlias = Literal["text", "int", "float", "decimal", "bool", "date", "datetime", "list", "mapping", "any"]

MOST_MISMATCHES = 20
"""Of one record, so many are listed."""


# Types


class KindSpec(NamedTuple):
    """words: "is not …". holds: whether a value is of the type. read: a text as such a value. Raises ValueError."""

    words: str
    holds: Callable[[Any], bool]
    read: Callable[[str], Any] | None = None
    ordered: bool = False


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_INT = re.compile(r"0|-?[1-9][0-9]*").fullmatch
_DECIMAL = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_TOO_FINE = re.compile(r"[.,][0-9]{7}").search

SHORT = 15
"""A float holds so many digits of any number that is written without an exponent."""


class Lossy(ValueError):
    """A text that could be read, but not as it is written."""


def _read_int(text: str) -> int:
    if not _INT(text):
        raise Lossy(f"{int(text)} is written otherwise")
    return int(text)


def _read_decimal(text: str) -> Decimal:
    _check_number(text)
    return Decimal(text)


def _check_number(text: str) -> None:
    if not _DECIMAL(text):
        raise Lossy(f"{_finite(float(text))} is written otherwise")


def _read_float(text: str) -> float:
    _check_number(text)
    value = _finite(float(text))
    if (len(text) > SHORT or "e" in text.lower()) and Decimal(repr(value)) != Decimal(text):
        raise Lossy("a float has fewer digits")
    return value


def _finite(value: float) -> float:
    if not isfinite(value):
        raise ValueError("it is not finite")
    return value


def _read_bool(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError("it is neither")
    return text.lower() in TRUE


def _read_date(text: str) -> date:
    value = date.fromisoformat(text)
    if value.isoformat() != text:
        raise Lossy(f"it is written {value}")
    return value


def _read_datetime(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if _TOO_FINE(text):
        raise Lossy("it has more than six decimals")
    return value


KINDS: dict[str, KindSpec] = {
    "text": KindSpec("text", lambda value: isinstance(value, str), str),
    "int": KindSpec("a whole number", _is_int, _read_int, ordered=True),
    "float": KindSpec("a number", lambda value: isinstance(value, float) or _is_int(value), _read_float, ordered=True),
    "decimal": KindSpec(
        "a decimal number", lambda value: isinstance(value, Decimal) or _is_int(value), _read_decimal, ordered=True
    ),
    "bool": KindSpec("true or false", lambda value: isinstance(value, bool), _read_bool),
    "date": KindSpec(
        "a date", lambda value: isinstance(value, date) and not isinstance(value, datetime), _read_date, ordered=True
    ),
    "datetime": KindSpec("a date and time", lambda value: isinstance(value, datetime), _read_datetime, ordered=True),
    "list": KindSpec("a list", lambda value: isinstance(value, list | tuple)),
    "mapping": KindSpec("a mapping", lambda value: isinstance(value, Mapping)),
    "any": KindSpec("a value", lambda value: True),
}


# The schema


@dataclass(frozen=True, kw_only=True)
class Field:
    """What is demanded of a field. Raises ValueError if that makes no sense."""

    type: Kind
    required: bool = True
    nullable: bool = False
    enum: list[Any] | None = None
    pattern: re.Pattern[str] | None = None
    min: Any = None
    max: Any = None

    def __post_init__(self) -> None:
        if self.pattern is not None and self.type != "text":
            raise ValueError("`pattern` is for text")
        if (self.min is not None or self.max is not None) and not KINDS[self.type].ordered:
            raise ValueError("`min` and `max` are for numbers, dates and times")
        if self.enum is not None and KINDS[self.type].read is None:
            raise ValueError(f"`enum` is for single values, not for the type {self.type}")
        if self.enum == []:
            raise ValueError("`enum` is empty, so no value would do")
        least, most = self.limit("min", self.min), self.limit("max", self.max)
        if least is not None and most is not None and least > most:
            raise ValueError("`min` is more than `max`")
        self.choices()

    def limit(self, name: str, written: Any) -> Any:
        """The value as one of the type: a date is written as a text, a decimal number as a number."""
        kind = KINDS[self.type]
        if written is None or (kind.holds(written) and self.type != "decimal"):
            return written
        try:
            if kind.read is None or self.type in ("text", "bool"):
                raise ValueError
            return kind.read(str(written))
        except (ValueError, InvalidOperation):
            hint = ", in quotes" if self.type == "text" else ""
            raise ValueError(f"`{name}` must be {kind.words}{hint}, and {written!r:.60} isn't") from None

    def choices(self) -> list[Any] | None:
        """The values of `enum`."""
        if self.enum is not None and None in self.enum:
            raise ValueError("`enum` needs no null: write `nullable: true` beside it")
        return None if self.enum is None else [self.limit("enum", written) for written in self.enum]


class Demand:
    """A field's demands on a value, ready to be checked."""

    def __init__(self, name: str, field: Field, convert: bool) -> None:
        self.name = name
        self.required = field.required
        self._null = field.nullable
        self._kind = KINDS[field.type]
        self._read = self._kind.read if convert and field.type != "text" else None
        self._enum = field.choices()
        self._pattern = field.pattern
        self._min, self._max = field.limit("min", field.min), field.limit("max", field.max)

    def met_by(self, value: Any) -> Any:
        """The value, converted from text if that is asked for. Raises ValueError with how it mismatches."""
        if value is None or (value == "" and self._read is not None and self._null):
            if not self._null:
                raise ValueError("null")
            return None
        if self._read is not None and type(value) is str:
            value = self._converted(self._read, value)
        elif not self._kind.holds(value):
            raise ValueError(f"{value!r:.60}, not {self._kind.words}")
        self._check_limits(value)
        return value

    def _converted(self, read: Callable[[str], Any], text: str) -> Any:
        try:
            return read(text)
        except Lossy as why:
            raise ValueError(f"{text!r:.60}, not {self._kind.words}: {why}") from None
        except (ValueError, ArithmeticError):
            raise ValueError(f"{text!r:.60}, not {self._kind.words}") from None

    def _check_limits(self, value: Any) -> None:
        if self._enum is not None and value not in self._enum:
            raise ValueError(f"{value!r:.60}, not one of {', '.join(map(str, self._enum)):.200}")
        if self._pattern is not None and self._pattern.fullmatch(value) is None:
            raise ValueError(f"{value!r:.60}, which doesn't match {self._pattern.pattern:.100}")
        try:  # so that nan, which compares with nothing, is refused
            if self._min is not None and not value >= self._min:
                raise ValueError(f"{value}, less than {self._min}")
            if self._max is not None and not value <= self._max:
                raise ValueError(f"{value}, more than {self._max}")
        except (TypeError, ArithmeticError):
            raise ValueError(f"{value}, which can't be compared with {self._min} or {self._max}") from None


# The stage

_ABSENT = object()


@stage("types", pure=True)
class Types:
    """Check records against a schema: names, types and limits of their fields.

    A record that doesn't fit is refused, with all its mismatches in one message. Types are text, int, float (a whole
    number will do), decimal, bool, date, datetime, list, mapping and any. Null is none of these. `a.b` is field b of
    field a. Texts are converted only if nothing is lost: not 007 to an int, and not a text with too many digits to a
    float.

    fields: for each field its type, or a mapping of type, required, nullable, enum, pattern (of all of it), min, max.
    extras: what happens to fields that the schema doesn't have: keep, drop, or fail.
    convert: turn texts into values of the other types; where null is allowed, an empty text is null.
    """

    def __init__(
        self,
        *,
        fields: dict[str, Kind | Field],
        extras: Literal["keep", "drop", "fail"] = "keep",
        convert: bool = False,
    ) -> None:
        self.fields = fields
        self.extras = extras
        self.convert = convert
        self._demands = [
            Demand(name, field if isinstance(field, Field) else Field(type=field), convert)
            for name, field in fields.items()
        ]
        self._known = {*fields, *(name.partition(".")[0] for name in fields)}

    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        must_be_mapping(record)
        changed: dict[str, Any] = {}
        mismatches = [*self._mismatches(record, changed), *self._extra(record)]
        if mismatches:
            raise Reject(_told(mismatches))
        if self.extras == "drop" and not record.keys() <= self._known:
            record = {name: value for name, value in record.items() if name in self._known}
        for name, value in changed.items():
            record = with_field(record, name, value)
        return record

    def _mismatches(self, record: dict[str, Any], changed: dict[str, Any]) -> Iterator[str]:
        """What is wrong with the record. Converted values are put into `changed`."""
        for demand in self._demands:
            name = demand.name
            value = record[name] if name in record else field_or(record, name, _ABSENT)
            if value is _ABSENT:
                if demand.required:
                    yield str(missing_field(record, name))
                continue
            try:
                met = demand.met_by(value)
            except ValueError as why:
                yield f"field {name!r} is {why}"
            else:
                if met is not value:
                    changed[name] = met

    def _extra(self, record: dict[str, Any]) -> Iterator[str]:
        if self.extras == "fail" and not record.keys() <= self._known:
            yield from (f"field {name!r:.60} is not in the schema" for name in record if name not in self._known)


def _told(mismatches: list[str]) -> str:
    if len(mismatches) == 1:
        return mismatches[0]
    rest = len(mismatches) - MOST_MISMATCHES
    more = f"; and {rest} more" if rest > 0 else ""
    return f"{len(mismatches)} mismatches: {'; '.join(mismatches[:MOST_MISMATCHES])}{more}"
