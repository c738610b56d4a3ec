from __future__ import annotations

import pytest
import yaml

from stagerunner.views.resolved import Leaf
from stagerunner.views.yaml import origins, plain, scalar, with_origins

TREE = {
    "version": Leaf(1, "c.yaml:1"),
    "stages": [
        {"use": Leaf("parse", "c.yaml:3"), "with": {"fields": [Leaf("ip", "c.yaml:4"), Leaf("user", "c.yaml:4")]}},
        {"use": Leaf("x", "c.yaml:5"), "pairs": [Leaf(1, "a"), Leaf(2, "b")], "env": {}},
    ],
}


def test_each_value_stands_on_a_line_with_its_origin():
    assert with_origins(TREE)[:5] == [
        ("version: 1", "c.yaml:1"),
        ("stages:", ""),
        ("  - use: parse", "c.yaml:3"),
        ("    with:", ""),
        ("      fields: [ip, user]", "c.yaml:4"),
    ]


def test_what_is_printed_is_yaml_that_says_the_same():
    text = "\n".join(line for line, _ in with_origins(TREE))
    assert yaml.safe_load(text) == plain(TREE)


@pytest.mark.parametrize("text", ["*", "a: b", "", "12", "1.5", "true", "null", "#x", "- a", "it's", "60s", "a/b.txt"])
def test_text_stays_text(text: str):
    assert yaml.safe_load(scalar(text)) == text


def test_origins_go_by_path():
    assert origins(TREE)["stages[0].with.fields[1]"] == "c.yaml:4"
