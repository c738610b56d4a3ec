"""`ColumnType`: the type of a column, as a text."""

from __future__ import annotations

import re

import pyarrow as pa

from stagerunner import TextOption

_PLAIN = re.compile(r"[\w\[\]]+")
_DECIMAL = re.compile(r"decimal(128|256)?\(\s*(\d+)\s*,\s*(-?\d+)\s*\)")
_ZONED = re.compile(r"timestamp\[\s*(s|ms|us|ns)\s*,\s*(?:tz\s*=\s*)?([\w/+:-]+)\s*\]")
_NESTED = re.compile(r"(list|dictionary)<(.+)>")


class ColumnType(TextOption):
    """The type of a column: int64, float64, string, bool, date32, timestamp[us], timestamp[us, UTC], decimal(10, 2),
    binary, list<…> or dictionary<…>, and what else pyarrow has a short name for.

    type: the pyarrow.DataType.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.type = _type(text.strip())


def _type(text: str) -> pa.DataType:
    if found := _NESTED.fullmatch(text):
        inner = _type(found[2].strip())
        return pa.list_(inner) if found[1] == "list" else pa.dictionary(pa.int32(), inner)
    try:
        if found := _DECIMAL.fullmatch(text):
            return (pa.decimal256 if found[1] == "256" else pa.decimal128)(int(found[2]), int(found[3]))
        if found := _ZONED.fullmatch(text):
            return pa.timestamp(found[1], found[2])
        if _PLAIN.fullmatch(text):
            return pa.type_for_alias(text)
    except (pa.ArrowException, ValueError) as error:
        raise ValueError(f"{text!r} isn't a type of columns: {error}") from None
    raise ValueError(f"{text!r} isn't a type of columns, such as int64, string, timestamp[us, UTC] or decimal(10, 2)")
