from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from math import inf, nan
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagerunner_parts.sinks import rendering
from stagerunner_parts.sinks.rendering import check_exact, is_exact, json_lines, json_text, text_lines


class Numbers:
    def tolist(self):
        return [1, 2]


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"a": Decimal("12.50")}, '{"a":12.50}'),
        (Path("a/b"), '"a/b"'),
        (datetime(2026, 5, 12, tzinfo=UTC), '"2026-05-12T00:00:00Z"'),
        (Numbers(), "[1,2]"),
        (2**70, str(2**70)),
        ("two\nlines", r'"two\nlines"'),
        ("NaN", '"NaN"'),
        ("No Infinity In Name", '"No Infinity In Name"'),
    ],
)
def test_json(record, text):
    assert json_text(record) == text.encode()
    assert json_lines([record, record]) == (text + "\n").encode() * 2


class Text(str):
    """Marked as something."""


class Exact(datetime):
    """A time of a library that knows nanoseconds."""

    def isoformat(self):
        return "2026-05-12T00:00:00.000000001"


class Colour(Enum):
    RED = "red"
    ODD = nan


@dataclass
class Point:
    x: object


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Text("a"), '"a"'),
        (Exact(2026, 5, 12), '"2026-05-12T00:00:00.000000001"'),
        (Colour.RED, '"red"'),
        (Point([1, None]), '{"x":[1,null]}'),
        (Counter("aa"), '{"a":2}'),
        ((1, (2,)), "[1,[2]]"),
        (b"ab", '"YWI="'),
        (timedelta(days=1), '"P1D"'),
        ({"null": [None, "null", 1.5, {}]}, '{"null":[null,"null",1.5,{}]}'),
        (np.datetime64("2026-05-12T00:00:00.123456789"), '"2026-05-12T00:00:00.123456789"'),
        (np.array(["2026-05-12"], "M8[D]"), '["2026-05-12"]'),
        (np.array([1.5, 2]), "[1.5,2.0]"),
    ],
)
def test_what_stands_for_something_that_json_has(record, text):
    assert json_text(record) == text.encode()
    assert json_lines([{"a": record}]) == b'{"a":' + text.encode() + b"}\n"


@pytest.mark.parametrize(
    "record",
    [
        *(nan, inf, -inf, [[nan]], {"a": {"b": (1, None, nan)}}, Point(nan), Point({1}), np.float64("nan")),
        *(np.array([1, nan]), {1, 2}, frozenset(), [{"a": {1}}], {1: 2}, {1: 1, "1": 2}, [{"a": {None: 1}}]),
        *({b"x": 1}, {Colour.RED: 1}, np.timedelta64(5, "ns"), np.datetime64("NaT", "s"), np.longdouble(1), 1j),
    ],
)
def test_what_would_be_altered_is_refused(record):
    with pytest.raises((TypeError, ValueError)):
        json_text(record)
    with pytest.raises((TypeError, ValueError)):
        json_lines([{"a": None, "b": "null"}, {"a": record}])


@pytest.mark.parametrize("record", [object(), "\ud800", Decimal("NaN"), [Decimal("-Infinity")]])
def test_what_cannot_be_written(record):
    with pytest.raises((TypeError, ValueError)):
        json_text(record)
    with pytest.raises((TypeError, ValueError)):
        json_lines(["fine", record])


def test_text_as_it_is_and_everything_else_as_json():
    assert text_lines(["ä", "two\nlines"]) == "ä\ntwo\nlines\n".encode()
    assert text_lines(["a", {"b": 1}, 5]) == b'a\n{"b":1}\n5\n'
    assert text_lines([]) == b""


def test_a_text_that_cannot_be_written():
    with pytest.raises(UnicodeEncodeError):
        text_lines(["\ud800"])


class Named(msgspec.Struct):
    a: object


class Celsius(float):
    pass


# The exact way: each value is looked at


@pytest.mark.parametrize(
    ("values", "nulls"),
    [
        ([], 0),
        ([1, "a", True, 1.5], 0),
        ([None, 1.5], 1),
        ([{"a": None, "b": [None, 2.5]}], 2),
        ([{"a": ("x", [{"b": 1}])}], 0),
        (["null", 1.5], 1),
        ([{"null": 1.5}], 1),
        ([Colour.RED, Decimal("1.10"), Celsius(1)], 0),
        ([Point(None), Named([None])], 2),
        ([np.array([1.0, 2]), np.float64(1), np.datetime64("2026-05-12")], 0),
    ],
)
def test_what_json_can_hold_passes(values, nulls):
    check_exact(values, nulls)


@pytest.mark.parametrize(
    "value",
    [
        nan,
        inf,
        -inf,
        [1, (nan,)],
        {"a": {"b": -inf}},
        Point(nan),
        Named({"a": [inf]}),
        Celsius("nan"),
        Colour.ODD,
        np.array([1, nan]),
        np.float64("inf"),
    ],
)
def test_a_number_that_became_null_is_found_however_deep_it_is(value):
    with pytest.raises(ValueError, match=r"JSON has no (nan|-?inf)"):
        check_exact([{"a": 1}, value, "b"], 1)


@pytest.mark.parametrize("value", [{1}, frozenset(), [{"a": {1}}], Point({1}), (set(),)])
def test_a_set_is_refused_with_what_to_write_instead(value):
    with pytest.raises(ValueError, match=r"JSON has no sets: make it a list with sorted\(…\)"):
        check_exact([value], 0)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({1: 2}, "1 is of type int"),
        ({"a": 1, None: 2}, "None is of type NoneType"),
        ([{"a": [{(1, 2): 3}]}], r"\(1, 2\) is of type tuple"),
        ([{"a": 1}, {2.5: 1}], "2.5 is of type float"),
        (Point({True: 1}), "True is of type bool"),
    ],
)
def test_a_name_that_is_no_text_is_refused(value, told):
    with pytest.raises(ValueError, match="a name in JSON must be text, but " + told):
        check_exact([value], 0)


def test_as_many_nulls_as_none_say_that_no_number_became_one():
    """So the numbers needn't be looked at: that is what the count is for."""
    check_exact([None, 1.5], 1)
    with pytest.raises(ValueError, match="JSON has no nan"):
        check_exact([None, nan], 2)


# The quick way: the JSON tells


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.floats(),
    st.sampled_from(["", "null", "{", "[", "}{", "a: null"]),
    st.sampled_from(
        [Colour.RED, Point(1.0), Point(nan), Point({1: 1}), Decimal(1), b"x", {1}, frozenset(), {}, [], ()]
    ),
)
NAMES = st.one_of(st.sampled_from(["a", "b", "null", "{", "["]), st.integers(0, 2), st.none())
PLAIN_NAMES = st.sampled_from("abc")
NESTING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(PLAIN_NAMES, inner, max_size=3),
        st.dictionaries(NAMES, inner, max_size=3),
        st.dictionaries(PLAIN_NAMES, inner, max_size=2).map(lambda found: vars(Bag(found))),
    ),
    max_leaves=6,
)


class Bag:
    def __init__(self, names):
        for name, value in names.items():
            setattr(self, name, value)


WAYS = pytest.mark.parametrize("long", [0, 10**9], ids=["values", "JSON"])
"""From which length on values are looked at instead of the JSON."""


def is_exact_if(long, records, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "LONG", long)
        return is_exact(records, data)


@WAYS
@settings(max_examples=400, derandomize=True, deadline=None)
@given(records=st.lists(st.one_of(NESTING, st.dictionaries(PLAIN_NAMES, LEAVES)), min_size=1, max_size=4))
def test_what_is_taken_as_it_is_passes_the_look_at_each_value(long, records):
    """In the quick ways nothing passes that the long one refuses."""
    try:
        data = msgspec.json.Encoder().encode_lines(records)
    except TypeError:
        return
    if is_exact_if(long, records, data):
        for record in records:
            check_exact([record], msgspec.json.encode(record).count(b"null"))


@pytest.mark.parametrize(
    "record",
    [
        {"a": 1, "b": "x null", "c": 1.5, "d": True},
        {"a": None},
        {"a": [1, "x"], "b": []},
        {"a": {"b": {"c": [()]}}},
        ["a", ["b"], ("c", {})],
        "text",
        {"a": 1e308, "b": -0.0, "c": 10**400, "d": -1.0},
    ],
)
@WAYS
def test_plain_records_are_taken_as_they_are(long, record):
    data = json_lines([record, record])

    assert is_exact_if(long, [record, record], data)


@pytest.mark.parametrize(
    "records",
    [
        [{"a": nan}],
        [{"a": None}, {"a": nan}],
        [{"a": [], "b": "null"}],
        [{"a": {1}}],
        [{1: "x"}],
        [{"a": {1: "x"}}],
        [{"{a": 1}, {1: 1, 2: 2}],
        ["{a", {1: 1, 2: 2}],
        [{}, {1: 1}],
        [{"a": 1, "b": 2}, {3: 3}],
        [{"a": 1.5}, {"a": inf}, {"a": -inf}],
        [{"a": 1.5}, {"a": None}, {"a": nan}],
        [{"a": 1}, {"a": "x", "b": nan}],
        [{"a": 0.5}, {"a": Celsius("inf")}],
        [{"a": 0.5}, {"a": np.float64("nan")}],
        [{"a": Decimal("NaN")}],
        [{"a": "x"}, {"a": Decimal("-Infinity")}],
        [{"a": "x"}, {"a": {1: 1}}],
    ],
)
@WAYS
def test_what_may_have_been_altered_is_looked_at(long, records):
    data = msgspec.json.Encoder(enc_hook=float).encode_lines(records)

    assert not is_exact_if(long, records, data)


def test_without_the_collectors_help_names_are_looked_at_one_by_one(monkeypatch):
    monkeypatch.setattr(rendering, "TELLING", False)

    assert is_exact([{"a": 1}], b'{"a":1}\n')
    assert not is_exact([{1: 1}], b'{"1":1}\n')
    assert not is_exact([{"a": [1]}], b'{"a":[1]}\n'), "what is deeper goes the exact way"
