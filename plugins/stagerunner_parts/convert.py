"""The stage `convert`: text to numbers, times and so on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from stagerunner import Reject, TextOption, missing_field, stage
from stagerunner_parts.values import must_be_mapping

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def _whole(value: Any) -> int:
    number = int(_plain(value))
    if number != value and isinstance(value, float | Decimal):
        raise ValueError("it has a fraction")
    return number


def _number(value: Any) -> float:
    return float(_plain(value))


def _decimal(value: Any) -> Decimal:
    number = Decimal(repr(value) if isinstance(value, float) else _plain(value))
    if not number.is_finite():
        raise ValueError("it is not finite")
    return number


def _plain(value: Any) -> Any:
    # Python reads 1_000 as a number, but in data it is a code or a mistake.
    if isinstance(value, str) and "_" in value:
        raise ValueError("it has an underscore")
    return value


def _truth(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in TRUE + FALSE:
        raise ValueError("it is neither true nor false")
    return text in TRUE


def _moment(layout: str) -> Callable[[Any], datetime]:
    def read(value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        return datetime.strptime(value, layout) if layout else datetime.fromisoformat(value)

    return read


KINDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "int": ("a whole number", _whole),
    "float": ("a number", _number),
    "decimal": ("a decimal number", _decimal),
    "bool": ("true or false", _truth),
    "text": ("a text", str),
}


class Type(TextOption):
    """What a field is converted to: int, float, decimal, datetime, datetime:FORMAT, bool or text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        kind, colon, layout = text.partition(":")
        if kind == "datetime" and bool(colon) == bool(layout):
            self.words, self.convert = f"a time of the form {layout or 'ISO 8601'}", _moment(layout)
        elif text in KINDS:
            self.words, self.convert = KINDS[text]
        else:
            raise ValueError(f"{text!r} is not one of int, float, decimal, datetime, datetime:FORMAT, bool, text")


@stage(pure=True)
def convert(record: dict[str, Any], *, types: dict[str, Type], empty_is_null: bool = False) -> dict[str, Any]:
    """Convert fields from text to numbers, times and so on.

    A record is refused if it lacks one of the fields, or if a value can't be converted. Null stays null.

    types: for each field int, float, decimal, bool, text, datetime (ISO 8601) or datetime:FORMAT (as in strptime).
    empty_is_null: an empty text becomes null.
    """
    try:
        converted = dict(record)
    except (TypeError, ValueError):
        must_be_mapping(record)
        raise
    for name, to in types.items():
        if name not in record:
            raise missing_field(record, name)
        converted[name] = converted_field(name, record[name], to, empty_is_null)
    return converted


def converted_field(name: str, value: Any, to: Type, empty_is_null: bool) -> Any:
    """The value as this type. Raises Reject, naming the field."""
    if value is None or (empty_is_null and value == ""):
        return None
    try:
        return to.convert(value)
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        raise Reject(f"field {name!r} is not {to.words}: {value!r:.60}") from None
