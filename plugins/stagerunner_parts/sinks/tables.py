"""What sinks of rows share: checking a record's fields against the columns, and values as text in a cell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Literal, TypeAlias

from stagerunner_parts.sinks.rendering import json_text

Extras: TypeAlias = Literal["fail", "ignore"]
Missing: TypeAlias = Literal["fail", "fill"]


def refuse_others(extra: Iterable[str], lacking: Iterable[str], extras: Extras, missing: Missing) -> None:
    """Raises ValueError if the record has a field too many or too few and the options don't allow it."""
    if extras == "fail" and (found := list(extra)):
        raise ValueError(f"there is no column for {_listed(found)}; `extras: ignore` leaves such fields out")
    if missing == "fail" and (found := list(lacking)):
        raise ValueError(f"the record lacks {_listed(found)}; `missing: fill` leaves such columns empty")


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def cell_text(value: Any) -> str:
    """A value as text in a cell: numbers as digits, times in ISO 8601, lists, mappings and the like as JSON.

    Raises TypeError or ValueError for a value that can't be written, such as bytes.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes are not text: decode them, or encode them in base64")
    text = json_text(value).decode()
    return text[1:-1] if text.startswith('"') and "\\" not in text else text


def _number(value: float | Decimal) -> str:
    if not isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return float.__repr__(value) if isinstance(value, float) else str(value)
