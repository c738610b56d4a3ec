from __future__ import annotations

import pytest

from stagerunner.config.nodes import Mapping, Scalar, from_plain, plain, reached, unexpanded, with_entry
from stagerunner.errors import Mark

HERE = Mark("a.yaml", 3, 1)
DATA = {"name": "x", "n": 3, "rate": 0.5, "on": True, "none": None, "list": [1, {"deep": "y"}]}


def test_plain_data_comes_back_as_it_was():
    assert plain(from_plain(DATA, HERE)) == DATA


def test_every_node_of_plain_data_stands_at_the_mark():
    node = from_plain(DATA, HERE)

    assert isinstance(node, Mapping)
    assert {child.mark for _, child in node} == {HERE}


def test_what_yaml_can_not_say_is_refused():
    with pytest.raises(TypeError, match="set can't be in a config"):
        from_plain({"a": {1, 2}}, HERE)


def test_unexpanded_shows_what_was_written():
    secret = Scalar("pepper", "pepper", HERE, written="${secret:SALT}", secret=True)
    node = Mapping(((Scalar("salt", "salt", HERE), secret),), HERE)

    assert plain(node) == {"salt": "pepper"}
    assert unexpanded(node) == {"salt": "${secret:SALT}"}


def test_an_entry_is_set_in_its_old_place_or_at_the_end():
    node = from_plain({"a": 1, "b": 2}, HERE)
    three = Scalar("3", 3, HERE)

    assert list(plain(with_entry(node, Scalar("a", "a", HERE), three)).items()) == [("a", 3), ("b", 2)]
    assert list(plain(with_entry(node, Scalar("c", "c", HERE), three))) == ["a", "b", "c"]


def test_keys_and_values_are_found_by_name():
    node = from_plain({"a": 1}, HERE)

    assert (node.get("a").value, node.key("a").text) == (1, "a")
    assert (node.get("b"), node.key("b")) == (None, None)


def test_a_way_leads_as_far_as_something_is_written():
    node = from_plain({"stages": ["same", {"use": "x", "resources": {"gpu": 1}}]}, HERE)

    assert [
        (plain(found), path)
        for found, path in (reached(node, ("stages", 1, "resources", key)) for key in ("gpu", "cpu"))
    ] == [
        (1, "stages[1].resources.gpu"),
        ({"gpu": 1}, "stages[1].resources"),
    ]
    assert reached(node, ("stages", 0, "workers"))[1] == "stages[0]"
    assert reached(node, ("run", "engine")) == (node, "")
