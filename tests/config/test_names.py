from __future__ import annotations

import pytest

from stagerunner.config.names import default_name, stage_names


@pytest.mark.parametrize(
    ("use", "name"),
    [
        ("parse", "parse"),
        ("text.strip", "text-strip"),
        ("./my_stages.py:Enrich", "enrich"),
        ("pkg.module:split_lines", "split-lines"),
        ("a/b.py", "b-py"),
        ("ünï:ö", "stage"),
        ("x:_private", "private"),
        ("", "stage"),
    ],
)
def test_the_default_name_is_the_end_of_use(use, name):
    assert default_name(use) == name


def test_all_names_are_different(root):
    assert stage_names(root("[a, a, {use: 'x:a'}, b]").items) == ["a", "a-2", "a-3", "b"]


def test_written_names_are_never_taken_by_defaults(root):
    assert stage_names(root("[a, {use: b, name: a}, {use: a, name: a-2}, a]").items) == ["a-3", "a", "a-2", "a-4"]


def test_nodes_that_are_not_stages_get_names_too(root):
    assert stage_names(root("[[1], {}, ~, {use: [], name: X}]").items) == ["stage", "stage-2", "stage-3", "stage-4"]
