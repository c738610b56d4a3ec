import pytest

from stagerunner import Reject, load
from stagerunner.errors import ConfigError
from stagerunner_parts.nesting import explode, flatten

DEEP = {"a": {"b": {"c": {"d": 1}}, "e": 2}, "f": [{"g": 3}], "h": {}}


def test_flatten_takes_all_levels_away_and_keeps_the_order():
    assert list(flatten(DEEP).items()) == [("a.b.c.d", 1), ("a.e", 2), ("f", [{"g": 3}]), ("h", {})]
    assert list(flatten({"b": 1, "a": {"x": 2}, "c": 3}, separator="")) == ["b", "ax", "c"]


def test_flatten_takes_some_levels_away():
    assert flatten(DEEP, depth=1) == {"a.b": {"c": {"d": 1}}, "a.e": 2, "f": [{"g": 3}], "h": {}}
    assert flatten(DEEP, depth=2) == {"a.b.c": {"d": 1}, "a.e": 2, "f": [{"g": 3}], "h": {}}
    assert flatten(DEEP, depth=9) == flatten(DEEP)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "all"])
def test_what_is_no_depth(text):
    with pytest.raises(ConfigError, match=r"depth isn't a valid number: .* is not a whole number from 1 on"):
        load(f"version: 1\nstages: [{{use: flatten, with: {{depth: {text}}}}}]\n")


@pytest.mark.parametrize(
    ("record", "separator", "name"),
    [
        ({"a": {"b": 1}, "a.b": 2}, ".", "a.b"),
        ({"a.b": 2, "a": {"b": 1}}, ".", "a.b"),
        ({"a": {"b.c": 1, "b": {"c": 2}}}, ".", "a.b.c"),
        ({"a": {"bc": 1}, "ab": {"c": 2}}, "", "abc"),
        ({"a": {"b": {}}, "a.b": 2}, ".", "a.b"),
    ],
)
def test_two_fields_of_one_name_refuse_the_record(record, separator, name):
    with pytest.raises(Reject, match=f"two fields would have the name '{name}'"):
        flatten(record, separator=separator)


def test_flatten_refuses_what_has_no_names():
    with pytest.raises(Reject, match=r"the name 1 in 'a' is not text"):
        flatten({"a": {1: 2}})
    with pytest.raises(Reject, match=r"the name 1 is not text"):
        flatten({1: 2})
    with pytest.raises(Reject, match=r"put `parse` or `json\.parse`"):
        flatten("text")


def exploded(record, **options):
    return list(explode(record, **{"field": "items", **options}))


def test_each_item_takes_the_place_of_the_list():
    given = {"id": 1, "items": ["a", None, ["b"]], "x": 2}
    assert [list(record.items()) for record in exploded(given)] == [
        [("id", 1), ("items", "a"), ("x", 2)],
        [("id", 1), ("items", None), ("x", 2)],
        [("id", 1), ("items", ["b"]), ("x", 2)],
    ]
    assert exploded({"items": (1, 2)}, index="n") == [{"items": 1, "n": 0}, {"items": 2, "n": 1}]


def test_a_list_inside_a_field():
    given = {"order": {"id": 1, "items": [7, 8]}}
    assert exploded(given, field="order.items") == [{"order": {"id": 1, "items": item}} for item in (7, 8)]
    assert given == {"order": {"id": 1, "items": [7, 8]}}


KEPT = [{"id": 1, "items": None, "n": None}]


@pytest.mark.parametrize("record", [{"id": 1, "items": []}, {"id": 1, "items": None}, {"id": 1, "items": ()}])
def test_an_empty_list(record):
    assert exploded(record) == exploded(record, empty="drop") == []
    assert exploded(record, empty="keep", missing="fail", index="n") == KEPT
    with pytest.raises(Reject, match="the list in field 'items' is empty"):
        exploded(record, empty="fail", missing="keep")


def test_a_missing_list():
    record = {"id": 1}
    assert exploded(record, missing="drop", empty="fail") == []
    assert exploded(record, missing="keep", empty="fail", index="n") == KEPT
    with pytest.raises(Reject, match="the record has no field 'items'"):
        exploded(record, empty="keep")


@pytest.mark.parametrize(("found", "kind"), [("abc", "str"), ({"a": 1}, "dict"), (5, "int"), ({1}, "set"), ("", "str")])
def test_what_is_no_list_is_refused(found, kind):
    with pytest.raises(Reject, match=f"field 'items' is of type {kind}, not a list"):
        exploded({"items": found}, empty="keep", missing="keep")


def test_the_number_must_not_hide_a_field():
    with pytest.raises(Reject, match="the record has a field 'id' already"):
        exploded({"id": 1, "items": [1]}, index="id")
    with pytest.raises(Reject, match="the record has a field 'items' already"):
        exploded({"items": [1]}, index="items")


def test_the_records_of_one_list_share_nothing():
    chain = load("version: 1\nstages: [{use: explode, with: {field: items}}]\n", engine="inline")
    one, two = chain.run([{"items": [1, 2], "tags": ["a"]}])
    one["tags"].append("b")
    assert two == {"items": 2, "tags": ["a"]}
