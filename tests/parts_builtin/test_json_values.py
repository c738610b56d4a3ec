"""JSON of programs and services: what is a value, and what isn't."""

from __future__ import annotations

import pytest

from stagerunner_parts.json_values import json_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e308", 1e308),
        (b'{"a": [1.50, null]}', {"a": [1.5, None]}),
        ('"\\ud800"', "\ud800"),
        ("1" * 30, int("1" * 30)),
    ],
)
def test_what_json_holds_is_read_as_it_is(text, value):
    assert json_value(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaN", "JSON has no NaN"),
        ('{"a": -Infinity}', "JSON has no -Infinity"),
        ("-1e999", "-1e999 is too large a number"),
        ("[" * 100_000, "nested too deeply"),
        ("{", "Expecting"),
    ],
)
def test_what_it_cannot_hold_is_refused_and_never_altered(text, why):
    with pytest.raises(ValueError, match=why):
        json_value(text)
