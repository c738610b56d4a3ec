"""Values as text in a cell, of a CSV file or a database. What a cell can't hold is refused, never altered."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any

from stagerunner_parts.sinks.rendering import json_text


def cell_text(value: Any) -> str:
    """A value as text in a cell: numbers, times and the like as they are written, everything else as JSON.

    Raises TypeError or ValueError for what can't be written so, bytes among it.
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
        raise TypeError("bytes are no text: decode them, or write them in base64")
    text = json_text(value).decode()
    return text[1:-1] if text.startswith('"') and "\\" not in text else text


def _number(value: float | Decimal) -> str:
    if not isfinite(value):
        raise ValueError(f"{value} is no number that can be written")
    return float.__repr__(value) if isinstance(value, float) else str(value)
