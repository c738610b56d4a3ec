from __future__ import annotations

import pytest

from stagerunner.config import readers
from stagerunner.config.readers import Location, choice, number, read_table, unset, whole


@pytest.fixture
def wrong(root):
    """What a reader says of a value, and the fix."""

    def wrong(reader, text):
        mistakes = []
        assert Location("run.x", mistakes).read(root(text), reader) is None
        return mistakes[0].message, mistakes[0].fix

    return wrong


@pytest.fixture
def value(root):
    def value(reader, text):
        mistakes = []
        found = Location("run.x", mistakes).read(root(text), reader)
        assert mistakes == []
        return found

    return value


def test_each_type_has_its_reader(value):
    assert value(whole(), "4") == 4
    assert value(number(1), "1.5") == 1.5
    assert value(readers.duration, "200ms") == 0.2
    assert value(readers.bytes_size, "64KiB") == 65536
    assert value(readers.bytes_size, "100") == 100
    assert value(readers.calls, "50/s") == 50
    assert value(readers.text, "1.10") == "1.10"
    assert value(choice("off", "auto"), "off") == "off"
    assert value(unset(whole()), "null") is None


@pytest.mark.parametrize(
    ("reader", "text", "message", "fix"),
    [
        (whole(), "'4'", "x must be a whole number, not the text '4'", "write 4, without quotes"),
        (whole(), "true", "x must be a whole number, not true", ""),
        (whole(), "0", "x must be at least 1", ""),
        (whole(), "9" * 30, "x is too large a number", ""),
        (number(1), "0.5", "x must be a number from 1 on", ""),
        (number(1), ".nan", "x must be a number from 1 on", ""),
        (number(1), "1e308", "x must be less than 1e+15", ""),
        (number(1), "a", "x must be a number, not the text 'a'", ""),
        (readers.duration, "30", "x must be a duration, not the number 30", "write 30s or 30ms"),
        (readers.duration, "[1]", "x must be a duration, not a list", "write 500ms, 30s, 5m or 2h"),
        (readers.text, "null", "x must be text, not nothing", 'write "" for an empty text'),
        (readers.path_node, "' '", "x must name something, but is empty", ""),
        (readers.path_node, '"a\\0"', "x holds a NUL character", ""),
        (choice("skip", "fail"), "skpi", "x must be skip or fail, not the text 'skpi'", "did you mean 'skip'?"),
        (readers.mapping, "[a]", "x must be a mapping, not a list", "write {NAME: VALUE, …}"),
    ],
)
def test_what_a_reader_refuses(wrong, reader, text, message, fix):
    assert wrong(reader, text) == (message, fix)


def test_a_table_goes_on_behind_a_mistake(root):
    mistakes = []
    table = {"a": whole(), "b": whole(), "c": whole()}
    found = read_table(root("{a: x, b: 2, bb: 3, q: 4}"), table, Location("", mistakes), "look it up", brief=True)
    assert found == {"b": 2}
    assert [(mistake.path, mistake.fix) for mistake in mistakes] == [
        *[("bb", "did you mean 'b'? look it up"), ("q", "look it up"), ("a", "")]
    ]
