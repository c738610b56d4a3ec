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


class Size(int):
    """Bytes, written with their unit: 64KiB, 10MB."""

    @classmethod
    def parse(cls, text: str) -> Size:
        """Raises ValueError if it isn't a size."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(B|[kKMGT]i?B)", text)
        if found is None:
            raise ValueError(f"{text!r} isn't a size; write 64KiB, 10MB or 2GiB")
        power = "BKMGT".index(found[2][0].upper())
        return cls(float(found[1]) * (1024 if "i" in found[2] else 1000) ** power)


class Duration(float):
    """Seconds, written with their unit: 500ms, 30s, 5m, 2h."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Raises ValueError if it isn't a duration."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
        if found is None:
            raise ValueError(f"{text!r} isn't a duration; write 500ms, 30s, 5m or 2h")
        return cls(float(found[1]) * _SECONDS[found[2]])


_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
