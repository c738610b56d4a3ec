import pytest

from stagerunner import Expression, Reject, load
from stagerunner.errors import ConfigError
from stagerunner_parts.computing import set_fields


def computed(record, drop=None, **fields):
    return set_fields(record, fields={name: Expression(text) for name, text in fields.items()}, drop=drop)


def test_an_expression_sees_what_those_before_it_have_set():
    assert list(computed({"a": 1}, b="a + 1", c="b * 2", a="c + 1").items()) == [("a", 5), ("b", 2), ("c", 4)]


def test_a_field_inside_a_field():
    given = {"user": {"name": "amy", "age": 7}, "x.y": 1, "x": {}}
    fields = {"user.name": 'upper(user["name"])', "x.y": '"whole name"', "x.z.q": "5", "new.one": "None"}
    assert computed(given, **fields) == {
        "user": {"name": "AMY", "age": 7},
        "x.y": "whole name",
        "x": {"z": {"q": 5}},
        "new": {"one": None},
    }
    assert given == {"user": {"name": "amy", "age": 7}, "x.y": 1, "x": {}}


@pytest.mark.parametrize("holder", [None, "text", 5, [1]])
def test_what_is_no_mapping_can_not_hold_a_field(holder):
    with pytest.raises(Reject, match=r"field 'a\.b' can't be set: what holds it is of type \w+, not a mapping"):
        computed({"a": holder}, **{"a.b": "1"})


def test_drop_comes_last_and_passes_over_what_is_not_there():
    given = {"price": 2, "count": 3, "at": {"x": 1, "y": 2}, "p.q": 1, "p": {"q": 2}}
    drop = ["price", "count", "at.x", "at.no", "no", "no.no", "p.q", "total.x"]
    assert computed(given, drop, total="price * count") == {"at": {"y": 2}, "p": {"q": 2}, "total": 6}
    assert given["at"] == {"x": 1, "y": 2}


def test_a_field_without_a_value_refuses_the_record_and_says_which():
    with pytest.raises(Reject) as refused:
        computed({"price": 2}, total="price * quantity")
    assert str(refused.value) == (
        "field 'total' can't be computed as price * quantity: the record has no field 'quantity'"
    )
    with pytest.raises(Reject, match=r"field 'n' can't be computed as int\(price\): ValueError: invalid literal"):
        computed({"price": "two"}, n="int(price)")
    with pytest.raises(Reject, match=r"put `parse` or `json\.parse` before this stage"):
        computed("a text", n="1")


def test_two_fields_or_records_never_share_a_part():
    given = {"tags": ["a"], "user": {"names": ["x"]}}
    one, two = (computed(given, copy="tags", who="user", fixed="[1, 2]") for _ in range(2))
    one["copy"].append("b")
    one["who"]["names"].append("y")
    one["fixed"].append(3)
    assert one["tags"] == given["tags"] == ["a"]
    assert two == {**given, "copy": ["a"], "who": {"names": ["x"]}, "fixed": [1, 2]}


def test_a_mistake_in_an_expression_is_one_in_the_config():
    text = "version: 1\nstages:\n- use: set\n  with:\n    fields:\n      total: price * quantity\n      paid: true\n"
    with pytest.raises(ConfigError, match=r":7:13.*write True for true; a field of that name is record\['true'\]"):
        load(text)
