from __future__ import annotations

import math

import pytest

from stagerunner.config.scalars import MOST_DIGITS, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[("10", 10), ("010", 10), ("-3", -3), ("+3", 3), ("0x1F", 31), ("0o17", 15)],
        *[("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("1E-2", 0.01), ("1e999", math.inf)],
        *[(".inf", math.inf), ("-.INF", -math.inf)],
    ],
)
def test_the_core_schema(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(resolve(".nan"))


@pytest.mark.parametrize(
    "text", ["NO", "yes", "on", "12:30:00", "2026-01-02", "1_000", "0b1", "1.2.3", "tRue", "-.nan", "١"]
)
def test_everything_else_is_text(text):
    assert resolve(text) == text


def test_endless_digits_are_refused():
    assert resolve("9" * MOST_DIGITS) == int("9" * MOST_DIGITS)
    with pytest.raises(ValueError, match="too long"):
        resolve("9" * (MOST_DIGITS + 1))
