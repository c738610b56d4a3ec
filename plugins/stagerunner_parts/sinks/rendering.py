"""Records as text. What a text can't hold is refused, never altered."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from stagerunner_parts.sinks.faithful import check, unaltered

if TYPE_CHECKING:
    import msgspec.json

COARSE = frozenset(("us", "ms", "s", "m", "h", "D", "W"))
"""Units in which a numerical library's duration is one of Python's."""


def json_text(record: Any) -> bytes:
    """A record as JSON on one line. Raises TypeError or ValueError when it can't be written so."""
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
    # A worker that writes texts only, the usual end of a filter, starts twice as fast without it.
    import msgspec.json

    return msgspec.json.Encoder(enc_hook=_stand_in, decimal_format="number")


def _stand_in(value: Any) -> Any:
    # Subclasses of what JSON has, such as a text that is marked as safe.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    # The arrays and scalars of numerical libraries become lists and numbers by themselves.
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
    """Texts with all their digits; by itself, nanoseconds would become a bare number."""
    if "NaT" in str(value.astype(str)):
        raise ValueError("JSON has no NaT")
    if kind == "M":
        return value.astype(str).tolist()
    if value.dtype.str[4:-1] not in COARSE:
        raise ValueError(f"JSON has no duration in {value.dtype.str[4:-1]}; make it a number")
    return value.tolist()


def _checked(data: bytes, records: list[Any]) -> bytes:
    # A decimal number that isn't finite is written as it stands, and JSON has no word for it. Looking for one letter
    # takes no time; for a word as long as encoding does.
    if (b"N" in data and b"NaN" in data) or (b"I" in data and b"Infinity" in data):
        import msgspec.json

        for line in data.splitlines():
            msgspec.json.decode(line)
    if not unaltered(records, data):
        check(records, data.count(b"null"))
    return data
