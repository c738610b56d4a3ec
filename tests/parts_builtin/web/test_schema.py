from __future__ import annotations

import pickle

import pytest

from stagerunner_parts.web.schema import Schema

LABEL = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}, "default": {"$ref": "#/$defs/number"}, "prefixItems": {}},
    "required": ["label"],
    "$defs": {"number": {"type": "number", "minimum": 0}},
}


def test_what_fits_passes_and_what_does_not_says_where():
    check = Schema.from_data(LABEL).check()
    check({"label": "a", "default": 1})
    with pytest.raises(ValueError, match=r"data\.default must be bigger than or equal to 0"):
        check({"label": "a", "default": -1})
    with pytest.raises(ValueError, match="label"):
        check({})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("text", "a schema is a mapping"),
        ({"type": "objct"}, "it can't be read"),
        ({"properties": 3}, "it can't be read"),
        ({"items": [{"prefixItems": []}]}, "`prefixItems` isn't known"),
        ({"properties": {"a": {"unevaluatedProperties": False}}}, "`unevaluatedProperties` isn't known"),
        ({"$ref": "http://127.0.0.1:1/x"}, "leads out of the schema"),
    ],
)
def test_what_could_not_be_checked_is_refused(data, why):
    with pytest.raises(ValueError, match=why):
        Schema.from_data(data)


def test_data_in_a_schema_is_no_keyword():
    Schema.from_data({"const": {"prefixItems": 1}, "enum": [{"prefixItems": 1}], "default": {"minContains": 1}})


def test_it_travels_as_data():
    assert pickle.loads(pickle.dumps(Schema(LABEL))).data == LABEL
