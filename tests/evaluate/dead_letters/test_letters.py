from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import PurePosixPath

import pytest

from stagerunner.evaluate.dead_letters.letters import as_line, head, owner_of, read_letter, record_fields

NAN = float("nan")


@pytest.mark.parametrize(
    "record",
    ["text", "two\nlines", "größer", "\ud800", 2**200, -0.0, True, {"a": [1, {"b": None}]}, [], ""],
)
def test_a_record_that_json_can_hold_is_exact(record):
    found = read_letter(as_line("out", 1, {"stage": "s", **record_fields(record)}))

    assert (type(found["record"]), repr(found["record"])) == (type(record), repr(record))
    assert "altered" not in found


class Odd:
    def __repr__(self):
        return "Odd()"


class Exits:
    def __repr__(self):
        raise SystemExit


class Text(str):
    pass


@pytest.mark.parametrize(
    ("record", "near", "altered"),
    [
        (b"\xff", "/w==", "record is of type bytes"),
        ((1, 2), [1, 2], "record is of type tuple"),
        ({"x": NAN}, {"x": "nan"}, "record['x'] is nan"),
        ({"d": datetime(2024, 1, 2)}, {"d": "2024-01-02T00:00:00"}, "record['d'] is of type datetime"),
        ([Decimal("1.10")], ["1.10"], "record[0] is of type Decimal"),
        ([PurePosixPath("a/b")], ["a/b"], "record[0] is of type PurePosixPath"),
        ({1: "a"}, {"1": "a"}, "record has a key of type int"),
        ({"deep": [Odd()]}, {"deep": ["Odd()"]}, "record['deep'][0] is of type Odd"),
        (Text("a"), "a", "record is of type Text"),
        (Exits(), "<unprintable Exits>", "record is of type Exits"),
    ],
)
def test_another_record_is_as_near_as_json_comes_and_marked_as_altered(record, near, altered):
    assert record_fields(record) == {"record": near, "altered": altered}


def circle():
    found = []
    found.append(found)
    return found


def deep():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize("made", [circle, deep, lambda: 10**5000])
def test_a_record_that_json_can_not_hold_at_all_is_text(made):
    found = json.loads(as_line("out", 1, {"stage": "s", **record_fields(made())}))

    assert found["text"]
    assert "record" not in found
    assert "altered" not in found


def test_a_letter_is_one_line():
    assert as_line("two\nlines", 1, {"stage": "s", "record": "two\nlines"}).count(b"\n") == 1


@pytest.mark.parametrize("output", ["a.txt", "größer", 'with"quotes', "\udcff"])
def test_a_line_says_which_output_it_belongs_to(output):
    line = as_line(output, 12, {"stage": "s", "record": 1})
    heads = [(head(output), output)]

    assert owner_of(line, heads) == (output, 12)
    assert owner_of(json.dumps(json.loads(line)).encode(), heads) == (output, 12)
    assert owner_of(line, [(head("other"), "other")]) is None


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[1]", b"{", b'{"version": 2, "stage": "s"}', b'{"version": 1}', b"\xff"]
)
def test_other_lines_belong_to_no_output(line):
    assert owner_of(line, [(head("a"), "a")]) is None
    assert read_letter(line) is None
