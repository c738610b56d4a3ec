from __future__ import annotations

import pickle
from datetime import date
from decimal import Decimal

import pytest

from stagerunner import Reject
from stagerunner_parts.template import Filling, Template

RECORD = {"name": "Ann O", "user": {"id": 7}, "a.b": 1, "tags": ["x", "y"], "none": None, "yes": True, "raw": b"\x00"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        ("plain", "plain"),
        ("Hello {name}!", "Hello Ann O!"),
        ("{user.id}-{a.b}", "7-1"),
        ("{ name }", "Ann O"),
        ("{{name}} {{{name}}}", "{name} {Ann O}"),
        ("{tags} {user}", '["x", "y"] {"id": 7}'),
        ("[{none}] {yes}", "[] true"),
        ('{{"a": {user.id}}}', '{"a": 7}'),
    ],
)
def test_fields_stand_where_the_template_says(text, found):
    assert Template(text)(RECORD) == found


@pytest.mark.parametrize(
    "text", ["{", "a}", "{}", "{name", '{"a": 1}', "{name!r}".replace("!r", ":>8"), "{a{b}}", "{a\nb}"]
)
def test_a_brace_that_encloses_no_name_must_be_doubled(text):
    with pytest.raises(ValueError, match="must be doubled"):
        Template(text)


def test_nothing_is_evaluated():
    for text in ("{name.__class__}", "{user.id.real}", "{tags.0}"):
        with pytest.raises(Reject, match="has no field"):
            Template(text)(RECORD)


def test_a_missing_field_is_named_with_a_similar_one():
    with pytest.raises(Reject, match="no field 'nam'; did you mean 'name'"):
        Template("{nam}")(RECORD)


def test_the_whole_record():
    assert Template("<{record}>")("a line") == "<a line>"
    assert Template("{record}").value([1, 2]) == [1, 2]
    assert Template("{record}")({"record": "the field of that name"}) == "the field of that name"


def test_other_values_are_text():
    assert Template("{d} {n}")({"d": date(2026, 1, 2), "n": Decimal("1.10")}) == "2026-01-02 1.10"
    with pytest.raises(Reject, match="decode them"):
        Template("{raw}")(RECORD)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://h/{name}?q={q}", "http://h/Ann%20O?q=a%26b%2F%3F%23%25"),
        ("{whole}/x/{name}", "http://h/y?z=1/x/Ann%20O"),
        ("http://h/{tags}", "http://h/%5B%22x%22%2C%20%22y%22%5D"),
    ],
)
def test_a_field_changes_nothing_of_a_url_but_its_own_place(text, url):
    assert Template(text).url({**RECORD, "q": "a&b/?#%", "whole": "http://h/y?z=1"}) == url


@pytest.mark.parametrize("field", ["none", "empty"])
def test_a_field_in_a_url_is_not_empty(field):
    with pytest.raises(Reject, match="is empty"):
        Template("http://h/{" + field + "}").url({"none": None, "empty": ""})


def test_a_field_alone_keeps_its_type():
    filling = Filling.of(
        {"n": "{user.id}", "list": ["{tags}", "{none}", "{name}!"], "as": [1, None, True], "{key}": "k"}
    )
    assert filling(RECORD) == {
        "n": 7,
        "list": [["x", "y"], None, "Ann O!"],
        "as": [1, None, True],
        "{key}": "k",
    }


def test_a_template_travels_as_its_text():
    assert pickle.loads(pickle.dumps(Template("a {b}")))({"b": 1}) == "a 1"
    assert repr(Template("a")) == "Template('a')"
