from types import MappingProxyType

import pytest

from stagerunner import Reject
from stagerunner_parts.fields import drop, rename, select
from stagerunner_parts.json import parse
from stagerunner_parts.parse import Parse
from stagerunner_parts.text import Replace, lower, strip, upper, words
from stagerunner_parts.values import field, must_be_mapping, must_be_text


def test_a_field_inside_a_field():
    assert field({"a": {"b": 1}}, "a.b") == 1
    assert field({"a": {"b": 1}, "a.b": 2}, "a.b") == 2
    assert field(MappingProxyType({"a": 1}), "a") == 1


@pytest.mark.parametrize("record", [{}, {"a": 1}, {"a": None}, "text", 5, [1]])
def test_a_missing_field_refuses_the_record(record):
    with pytest.raises(Reject, match=r"no field 'a\.b'") as caught:
        field(record, "a.b")
    assert caught.value.__context__ is None  # it would be a second cause, which says the same


WHOLE_FILE = {"path": "a.json", "bytes": b"{}"}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (WHOLE_FILE, "a whole file from the source `files`: a mapping with `path` and `bytes`; `use: lines` reads"),
        ({"a": 1}, "the record is already a mapping of fields; remove this stage"),
        (7, "the record is of type int"),
    ],
)
@pytest.mark.parametrize(
    "stage",
    [
        *(strip, lower, upper, parse, lambda record: list(words(record)), Parse().process),
        *(Replace(old="a", new="b").process, Replace(old="a", new="b", regex=True).process),
    ],
)
def test_a_stage_for_texts_says_what_it_was_given_instead(stage, record, why):
    with pytest.raises(Reject, match=why):
        stage(record)


@pytest.mark.parametrize(
    "stage",
    [
        lambda record: select(record, fields=["a"]),
        lambda record: drop(record, fields=["a"]),
        lambda record: rename(record, fields={"a": "b"}),
        lambda record: field(record, "a"),
    ],
)
def test_a_stage_for_fields_says_what_makes_them_of_a_text(stage):
    with pytest.raises(Reject, match=r"of type str.*; put `parse` or `json\.parse`"):
        stage("a text")


def test_what_is_wrong_with_a_text_stays_what_it_is():
    must_be_text("a")
    must_be_mapping({})
    with pytest.raises(TypeError):
        strip("a", chars=7)
