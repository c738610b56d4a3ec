"""What YAML 1.2 (its core schema) makes of a plain scalar."""

from __future__ import annotations

import re

_WORDS = {
    text: value
    for value, texts in {
        None: ("", "~", "null", "Null", "NULL"),
        True: ("true", "True", "TRUE"),
        False: ("false", "False", "FALSE"),
    }.items()
    for text in texts
}
_WHOLE = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_FIRST = frozenset("-+.0123456789")
"""What a number begins with."""
_BASES = {"0o": 8, "0x": 16}
MOST_DIGITS = 1000
"""Far below the 4300 decimal digits from which on Python refuses to read or show a whole number."""


def resolve(text: str) -> bool | int | float | str | None:
    """None, bool, int, float or, for everything else, the text itself. Raises ValueError for endless digits."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _FIRST:
        return text
    if _WHOLE.fullmatch(text):
        return _whole(text)
    if re.fullmatch(_NUMBER, text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits is too long")
    base = _BASES.get(text[:2], 10)
    return int(text if base == 10 else text[2:], base)
