"""JSON that programs and services write, read as strictly as the built-in sources read theirs."""

from __future__ import annotations

import json
from math import isinf
from typing import Any


def json_value(text: str | bytes) -> Any:
    """The one JSON value in a text.

    Unlike msgspec, `json` reads escaped halves of characters, which programs written in Python send. Raises ValueError
    for anything that isn't JSON, such as NaN, for a number beyond a float's range, and for what is nested too deeply.
    """
    try:
        return json.loads(text, parse_float=_float, parse_constant=_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _float(digits: str) -> float:
    number = float(digits)
    if isinf(number):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"JSON has no {name}")
