import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagerunner import Reject, load
from stagerunner.errors import ConfigError
from stagerunner_parts.schema import MOST_MISMATCHES, Field, Types

DAY, MOMENT = date(2026, 1, 31), datetime(2026, 1, 31, 12, tzinfo=UTC)


def checked(record, fields, **options):
    return Types(fields=fields, **options).process(record)


def why(record, fields, **options):
    with pytest.raises(Reject) as refused:
        checked(record, fields, **options)
    return str(refused.value)


HOLDS = {
    "text": ["", "a"],
    "int": [0, -1, 10**30],
    "float": [0.5, 1, math.inf],
    "decimal": [Decimal("1.50"), 1],
    "bool": [True, False],
    "date": [DAY],
    "datetime": [MOMENT],
    "list": [[], (1,)],
    "mapping": [{}],
}
ALL = [value for values in HOLDS.values() for value in values]


@pytest.mark.parametrize("kind", HOLDS)
def test_a_type_holds_its_own_values_and_no_others(kind):
    for value in ALL:
        if any(value is one for one in HOLDS[kind]) or (kind in ("int", "float", "decimal") and type(value) is int):
            assert checked({"x": value}, {"x": kind}) == {"x": value}
        else:
            assert f"field 'x' is {value!r:.60}, not " in why({"x": value}, {"x": kind})


def test_any_value_will_do_but_null():
    assert [checked({"x": value}, {"x": "any"}) for value in ALL] == [{"x": value} for value in ALL]
    assert why({"x": None}, {"x": "any"}) == "field 'x' is null"


def test_all_mismatches_stand_in_one_message():
    fields = {"id": "int", "user.name": "text", "status": Field(type="text", enum=["new", "paid"])}
    record = {"ids": 1, "user": {"name": 5}, "status": "lost"}
    assert why(record, fields, extras="fail") == (
        "4 mismatches: the record has no field 'id'; did you mean 'ids'?; field 'user.name' is 5, not text; "
        "field 'status' is 'lost', not one of new, paid; field 'ids' is not in the schema"
    )


def test_a_very_wrong_record_has_a_message_of_bounded_length():
    message = why({str(n): "x" * 1000 for n in range(1000)}, {str(n): "int" for n in range(1000)})
    assert message.startswith("1000 mismatches: field '0' is 'xxx")
    assert message.endswith(f"; and {1000 - MOST_MISMATCHES} more")
    assert len(message) < 5000


def test_required_and_null():
    fields = {"a": Field(type="int", required=False), "b": Field(type="int", nullable=True)}
    assert checked({"b": None}, fields) == {"b": None}
    assert why({"a": None}, fields) == "2 mismatches: field 'a' is null; the record has no field 'b'"


@pytest.mark.parametrize(
    ("field", "good", "bad", "says"),
    [
        (Field(type="int", min=1, max=3), [1, 3], [0, 4], "0, less than 1"),
        (Field(type="float", min=0.5), [0.5, 1], [0.4, math.nan], "0.4, less than 0.5"),
        (Field(type="decimal", max=0.1), [Decimal("0.1")], [Decimal("0.11"), Decimal("nan")], "0.11, more than 0.1"),
        (Field(type="date", min="2026-01-31"), [DAY], [date(2026, 1, 30)], "2026-01-30, less than 2026-01-31"),
        (Field(type="datetime", min="2026-01-31"), [datetime(2026, 1, 31)], [MOMENT], "which can't be compared"),
        (Field(type="int", enum=[1, 2]), [1], [3], "3, not one of 1, 2"),
        (Field(type="text", pattern=re.compile("[a-z]+")), ["a"], ["", "a1", "a\n"], "'', which doesn't"),
    ],
)
def test_limits(field, good, bad, says):
    for value in good:
        assert checked({"x": value}, {"x": field}) == {"x": value}
    messages = [why({"x": value}, {"x": field}) for value in bad]
    assert says in messages[0]


def test_extra_fields():
    record = {"z": 1, "a": {"b": 1, "c": 2}, "y": 2}
    fields = {"a.b": "int"}
    assert checked(record, fields) is record
    assert checked(record, fields, extras="drop") == {"a": {"b": 1, "c": 2}}
    assert why(record, fields, extras="fail") == (
        "2 mismatches: field 'z' is not in the schema; field 'y' is not in the schema"
    )


# Conversion


CONVERTED = {
    "int": {"7": 7, "-7": -7, "0": 0, "9" * 40: int("9" * 40)},
    "float": {"1.10": 1.1, "-0.0": -0.0, ".5": 0.5, "5.": 5.0, "1e3": 1000.0, "123456789012345": 123456789012345.0},
    "decimal": {"1.10": Decimal("1.10"), "0.1234567890123456789": Decimal("0.1234567890123456789")},
    "bool": {"true": True, "NO": False, "1": True},
    "date": {"2026-01-31": DAY},
    "datetime": {"2026-01-31T12:00:00Z": MOMENT, "2026-01-31 12:00:00.000000+00:00": MOMENT},
    "text": {"007": "007"},
}


@pytest.mark.parametrize("kind", CONVERTED)
def test_a_text_becomes_a_value_and_what_is_one_stays(kind):
    for text, value in CONVERTED[kind].items():
        for given_one in (text, value):
            made = checked({"a": {"x": given_one}}, {"a.x": kind}, convert=True)["a"]["x"]
            assert (type(made), repr(made)) == (type(value), repr(value))


LOSES = [
    ("int", "007", "not a whole number: 7 is written otherwise"),
    ("int", "+7", "7 is written otherwise"),
    ("int", "-0", "0 is written otherwise"),
    ("int", " 7", "7 is written otherwise"),
    ("int", "1_000", "1000 is written otherwise"),
    ("int", "7.0", "'7.0', not a whole number"),
    ("int", "", "'', not a whole number"),
    ("float", "0.1234567890123456789", "not a number: a float has fewer digits"),
    ("float", "9007199254740993", "a float has fewer digits"),
    ("float", "1e-400", "a float has fewer digits"),
    ("float", "1e400", "'1e400', not a number"),
    ("float", "007.5", "7.5 is written otherwise"),
    ("float", "nan", "'nan', not a number"),
    ("float", "1,5", "'1,5', not a number"),
    ("decimal", "1_0", "10.0 is written otherwise"),
    ("decimal", "Infinity", "not a decimal number"),
    ("bool", "maybe", "'maybe', not true or false"),
    ("date", "20260131", "not a date: it is written 2026-01-31"),
    ("date", "2026-01-31T12:00", "'2026-01-31T12:00', not a date"),
    ("date", "2026-02-30", "'2026-02-30', not a date"),
    ("datetime", "2026-01-31T12:00:00.1234567", "not a date and time: it has more than six decimals"),
    ("list", "[1]", "'[1]', not a list"),
]


@pytest.mark.parametrize(("kind", "text", "says"), LOSES)
def test_a_text_that_would_lose_something_is_refused(kind, text, says):
    assert says in why({"x": text}, {"x": kind}, convert=True)


@settings(derandomize=True, deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=12) | st.floats(allow_nan=False, allow_infinity=False))
def test_a_converted_number_is_the_number_that_was_written(number):
    text = str(number)
    for kind in ("float", "decimal"):
        try:
            made = checked({"x": text}, {"x": kind}, convert=True)["x"]
        except Reject:
            assert kind == "float"
            assert Decimal(repr(float(text))) != Decimal(text)
        else:
            assert Decimal(str(made)) == Decimal(text)


def test_an_empty_text_is_null_where_null_is_allowed():
    fields = {"n": Field(type="int", nullable=True), "t": Field(type="text", nullable=True)}
    assert checked({"n": "", "t": ""}, fields, convert=True) == {"n": None, "t": ""}
    assert checked({"n": None, "t": None}, fields, convert=True) == {"n": None, "t": None}


def test_a_converted_value_is_held_against_the_limits():
    assert why({"x": "9"}, {"x": Field(type="int", max=5)}, convert=True) == "field 'x' is 9, more than 5"


def test_the_record_stays_as_it_is():
    record = {"x": "1", "a": {"y": "2"}}
    checked(record, {"x": "int", "a.y": "int"}, convert=True)
    assert record == {"x": "1", "a": {"y": "2"}}


# Mistakes


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("integer", "must be text | int"),
        ("{type: int, min: 5, max: 3}", "`min` is more than `max`"),
        ("{type: int, min: 1.5}", "`min` must be a whole number, and 1.5 isn't"),
        ("{type: text, min: 5}", "`min` and `max` are for numbers, dates and times"),
        ("{type: bool, max: true}", "`min` and `max` are for numbers, dates and times"),
        ("{type: int, pattern: a}", "`pattern` is for text"),
        ('{type: text, pattern: "("}', "isn't a valid regular expression"),
        ("{type: text, enum: [1]}", "`enum` must be text, in quotes, and 1 isn't"),
        ("{type: int, enum: []}", "`enum` is empty"),
        ("{type: int, enum: [1, null]}", "write `nullable: true`"),
        ("{type: list, enum: [a]}", "`enum` is for single values, not for the type list"),
        ("{type: date, min: yesterday}", "`min` must be a date, and 'yesterday' isn't"),
        ("{required: false}", "needs 'type'"),
        ("{type: int, nulable: true}", "x has no 'nulable'"),
    ],
)
def test_a_mistake_in_the_schema_is_one_in_the_config(field, says):
    with pytest.raises(ConfigError) as refused:
        load(f"version: 1\nstages:\n- use: types\n  with:\n    fields:\n      x: {field}\n")
    assert says in str(refused.value)
    assert ":6:" in str(refused.value)


def test_what_has_no_fields_is_refused():
    assert "put `parse` or `json.parse`" in why("text", {"x": "int"})
