"""Records as text."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec.json


def json_text(record: Any) -> bytes:
    """A record as JSON on one line. Raises TypeError or ValueError when it can't be written so."""
    return _checked(_encoder().encode(record))


def json_lines(records: list[Any]) -> bytes:
    """Each record as a line of JSON, with its newline."""
    return _checked(_encoder().encode_lines(records))


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
    # A worker that writes texts only, the usual end of a filter, starts twice as fast without it.
    import msgspec.json

    return msgspec.json.Encoder(enc_hook=_stand_in, decimal_format="number")


def _stand_in(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    # The arrays and scalars of numerical libraries become lists and numbers by themselves.
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a value of type {type(value).__name__} can't be written as JSON")


def _checked(data: bytes) -> bytes:
    # A decimal number that isn't finite is written as it stands, and JSON has no word for it. Looking for one letter
    # takes no time; for a word as long as encoding does.
    if (b"N" in data and b"NaN" in data) or (b"I" in data and b"Infinity" in data):
        import msgspec.json

        for line in data.splitlines():
            msgspec.json.decode(line)
    return data
