"""Durations, sizes and rates in text: `500ms`, `64KiB`, `50/s`.

Each function takes the text and raises NotAQuantity, which says what is wrong and what to write.
"""

from __future__ import annotations

import re

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"B": 1} | {
    prefix + unit: base**power
    for power, prefix in enumerate("kMGT", start=1)
    for unit, base in (("B", 1000), ("iB", 1024))
}
BYTES |= {"KB": 1000, "KiB": 1024}
LONGEST_SECONDS = 86400.0 * 365 * 1000
MOST_BYTES = 2**62

# Strings, compiled when one is used: most chains have only defaults.
_NUMBER_AND_UNIT = r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([A-Za-z]*)"
_RATE = r"([0-9]{1,12}(?:\.[0-9]{1,12})?) ?/ ?(?:([0-9.]*)([A-Za-z]+))"


class NotAQuantity(ValueError):
    """The text isn't a duration, size or rate. `fix` says what to write."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


def seconds(text: str) -> float:
    """The seconds of a duration: `500ms`, `30s`, `5m`, `2h`, `1d`. Only 0 needs no unit."""
    number, unit = _split(text, "a duration", "write 500ms, 30s, 5m or 2h")
    if not unit and float(number) == 0:
        return 0.0
    if not unit:
        raise NotAQuantity("a duration needs a unit", f"write {number}s or {number}ms")
    if unit not in SECONDS:
        raise NotAQuantity(f"'{unit}' isn't a unit of time", f"one of {', '.join(SECONDS)}")
    return _at_most(float(number) * SECONDS[unit], LONGEST_SECONDS, "a duration", "365000d")


def size(text: str) -> int:
    """The bytes of a size: `512B`, `64KiB`, `10MB`, `1GiB`; a number alone is bytes."""
    number, unit = _split(text, "a size", "write 512B, 64KiB, 10MB or 1GiB")
    if unit and unit not in BYTES:
        raise NotAQuantity(f"'{unit}' isn't a unit of size", "one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB")
    if "." not in number:
        return int(_at_most(int(number) * BYTES[unit or "B"], MOST_BYTES, "a size", "4194304TiB"))
    return int(_at_most(float(number) * BYTES[unit or "B"], MOST_BYTES, "a size", "4194304TiB"))


def rate(text: str) -> float:
    """The calls per second of a rate: `50/s`, `100/min`, `10/500ms`."""
    found = re.fullmatch(_RATE, text.strip())
    if found is None:
        raise NotAQuantity("a rate is a number of calls per time", "write 50/s, 100/m or 10/500ms")
    calls, per, unit = found.groups()
    every = seconds(f"{per or 1}{unit}")
    if not every or not float(calls):
        raise NotAQuantity("a rate is more than 0 calls in a time above 0", "write 50/s")
    return float(calls) / every


def _split(text: str, kind: str, fix: str) -> tuple[str, str]:
    found = re.fullmatch(_NUMBER_AND_UNIT, text.strip())
    if found is None:
        raise NotAQuantity(f"{kind} is a number with a unit", fix)
    return found[1], found[2]


def _at_most(value: float, most: float, kind: str, written: str) -> float:
    """The value. written: the most, as it is written."""
    if value > most:
        raise NotAQuantity(f"{kind} can't be that large", f"at most {written}")
    return value
