"""Option types that several parts have."""

from __future__ import annotations

import re


class Number(int):
    """A whole number from 1 on."""

    @classmethod
    def parse(cls, text: str) -> Number:
        """Raises ValueError if it isn't one."""
        if not text.isdecimal() or int(text) < 1:
            raise ValueError(f"{text!r} is not a whole number from 1 on")
        return cls(text)


class Duration(float):
    """Seconds, written with their unit: 500ms, 30s, 5m, 2h."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Raises ValueError if it isn't a duration."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
        if found is None:
            raise ValueError(f"{text!r} is no duration; write 500ms, 30s, 5m or 2h")
        return cls(float(found[1]) * _SECONDS[found[2]])


_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
