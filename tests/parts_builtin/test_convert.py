import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from stagerunner import Reject
from stagerunner_parts.convert import Type, convert

NOON = datetime(2026, 5, 12, 12, 0, 0, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("kind", "value", "converted"),
    [
        ("int", " 12 ", 12),
        ("int", 12.0, 12),
        ("float", "1e3", 1000.0),
        ("decimal", "12.50", Decimal("12.50")),
        ("decimal", 0.1, Decimal("0.1")),
        ("bool", "Yes", True),
        ("bool", "0", False),
        ("bool", True, True),
        ("text", 5, "5"),
        ("datetime", "2026-05-12T12:00:00+02:00", NOON),
        ("datetime:%d/%b/%Y:%H:%M:%S %z", "12/May/2026:12:00:00 +0200", NOON),
        ("datetime", NOON, NOON),
        ("int", None, None),
    ],
)
def test_convert(kind, value, converted):
    found = convert({"a": value, "b": "x"}, types={"a": Type.parse(kind)})
    assert found == {"a": converted, "b": "x"}
    assert type(found["a"]) is type(converted)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("int", "1.5", "a whole number: '1.5'"),
        ("int", 1.5, "a whole number"),
        ("int", "1_000", "a whole number"),
        ("int", float("inf"), "a whole number"),
        ("int", [], "a whole number"),
        ("float", "", "a number: ''"),
        ("decimal", "NaN", "a decimal number"),
        ("decimal", "x", "a decimal number"),
        ("bool", "maybe", "true or false"),
        ("datetime", "today", "a time of the form ISO 8601"),
        ("datetime:%Y", "today", "a time of the form %Y"),
    ],
)
def test_what_cannot_be_converted_refuses_the_record(kind, value, words):
    with pytest.raises(Reject, match=f"field 'a' is not {words}"):
        convert({"a": value}, types={"a": Type(kind)})


def test_a_missing_field_refuses_the_record():
    with pytest.raises(Reject, match="no field 'a'"):
        convert({}, types={"a": Type("int")})


@pytest.mark.parametrize("record", ["text", 5])
def test_a_record_without_fields_is_refused(record):
    with pytest.raises(Reject, match="takes a mapping of fields, but the record is of type"):
        convert(record, types={"a": Type("int")})


def test_empty_is_null():
    assert convert({"a": ""}, types={"a": Type("int")}, empty_is_null=True) == {"a": None}


@pytest.mark.parametrize("text", ["number", "", "int:x", "datetime:"])
def test_what_is_no_type(text):
    with pytest.raises(ValueError, match="is not one of int, float"):
        Type.parse(text)


def test_a_type_can_travel():
    assert pickle.loads(pickle.dumps(Type("datetime:%Y"))).convert("2026") == datetime(2026, 1, 1)
