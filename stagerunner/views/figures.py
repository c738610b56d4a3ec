"""Numbers as people read them: 3.02 M, 1 m 09 s, 94 %."""

from __future__ import annotations

from collections.abc import Callable

EXACT = 10_000
"""Counts below this are written in full."""


def count(number: float) -> str:
    """ "311", "1,204", "20.4 k", "3.02 M": three digits, but small counts in full."""
    return f"{number:,.0f}" if abs(number) < EXACT else scaled(number, ("", " k", " M", " G", " T"))


def amount(number: float) -> str:
    """A counter, which may have a fraction: "1,204", "9.99", "0.00042"."""
    if number == int(number) or abs(number) >= EXACT:
        return count(number)
    text = f"{number:,.4f}" if abs(number) >= 0.01 else f"{number:.2g}"
    return text.rstrip("0").rstrip(".") if "e" not in text else text


def short(number: float) -> str:
    """The same without a space, for lines that programs parse: "461k"."""
    return f"{number:.0f}" if abs(number) < 1000 else scaled(number, ("", "k", "M", "G", "T"))


def rate(per_second: float, figure: Callable[[float], str] = count) -> str:
    """ "3.02 M/s", "1.5/s", "12/min", "3/h": in the unit in which it is at least 1.

    figure: how rates of ten a second and more are written.
    """
    if per_second >= 9.95 or not per_second:
        return f"{figure(per_second)}/s"
    if per_second >= 0.995:
        return f"{per_second:.2g}/s"
    return f"{per_second * 60:.0f}/min" if per_second * 60 >= 0.995 else f"{per_second * 3600:.0f}/h"


def size(number: float) -> str:
    """ "512 B", "1.10 GB"."""
    return scaled(number, (" B", " kB", " MB", " GB", " TB"))


def scaled(number: float, units: tuple[str, ...]) -> str:
    """The number in the largest unit in which it is at least 1; each unit is 1000 of the one before."""
    value, index = float(number), 0
    # 999.6 would be written as 1000, which is 1 in the next unit.
    while abs(value) >= (1000 if index == 0 else 999.5) and index < len(units) - 1:
        value, index = value / 1000, index + 1
    return (f"{value:.0f}" if index == 0 else digits(value)) + units[index]


def digits(value: float) -> str:
    """Three digits: 3.02, 20.4, 461."""
    return f"{value:.{2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0}f}"


def seconds(value: float) -> str:
    """ "0.4 s", "42 s", "1 m 09 s", "2 h 05 m"."""
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def short_time(value: float) -> str:
    """ "1.20 µs", "3.4 ms"; "–" for nothing."""
    if value <= 0:
        return "–"
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if value * factor < 999.5:
            return f"{digits(value * factor)} {unit}"
    return f"{digits(value)} s"


def clock(value: float) -> str:
    """ "0:42", "1:02:03"."""
    whole = int(value)
    minutes = f"{whole // 60 % 60}:{whole % 60:02d}"
    return minutes if whole < 3600 else f"{whole // 3600}:{minutes:0>5}"


def percent(share: float) -> str:
    """A share of 1 as "94 %"."""
    return f"{share * 100:.0f} %"


def plural(number: int, noun: str) -> str:
    """ "1 stage", "3 stages"."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"
