from __future__ import annotations

import math

import pytest
import yaml

from stagerunner.config import yaml12
from stagerunner.config.nodes import plain
from stagerunner.config.yaml12 import DEEPEST, MOST_DIGITS, MOST_NODES, read_yaml, resolve


@pytest.fixture(params=["C", "pure"], autouse=True)
def loader(request, monkeypatch):
    """Every test holds for the fast reader and for the one that is always there."""
    if request.param == "pure":
        monkeypatch.setattr(yaml12, "Loader", yaml.SafeLoader)


def mistakes(text):
    return [(m.code, m.mark.line, m.mark.column, m.mark.width) for m in read_yaml(text, "f.yaml")[1]]


def test_values_are_those_of_yaml_1_2(root):
    assert plain(root("[NO, 010, 1.10, 1e3, on, 12:30:00, '1', ~, 0o17]")) == [
        *("NO", 10, 1.1, 1000.0, "on", "12:30:00", "1", None, 15)
    ]


def test_texts_stay_as_written(root):
    assert [item.text for item in root("[NO, 010, 1.10, '1', ~]").items] == ["NO", "010", "1.10", "1", "~"]


def test_quoted_and_block_values_are_text(root):
    assert [(item.value, item.quoted) for item in root("['1', \"2\", 3]").items] == [
        ("1", True),
        ("2", True),
        (3, False),
    ]
    assert root("a: |\n  1\n").get("a").value == "1\n"


def test_every_node_has_its_place(root):
    found = root("a: 1\nbc:\n  - xyz\n  - {q: r}\n")
    mark = found.get("bc").items[0].mark
    assert (mark.line, mark.column, mark.width, mark.text) == (3, 5, 3, "  - xyz")
    assert found.get("bc").items[1].mark.width == 6
    assert (found.mark.line, found.mark.column, found.mark.width) == (1, 1, 1)
    assert found.key("bc").mark.line == 2


def test_columns_count_characters(root):
    assert root("ü: ö").get("ü").mark.column == 4


def test_a_value_over_several_lines_is_marked_to_the_end_of_its_first(root):
    assert root("a: 'x y\n  z'").get("a").mark.width == 4


def test_what_yaml_would_take_in_silence_is_a_mistake():
    assert mistakes("a: 1\nb: 2\na: 3") == [("duplicate-key", 3, 1, 1)]
    assert mistakes("a: &x 1\nb: *x") == [("anchor", 1, 4, 4), ("alias", 2, 4, 2)]
    assert mistakes("a: !!python/object:os.system x") == [("tag", 1, 4, 27)]
    assert mistakes("a: !cut {b: 1}") == [("tag", 1, 4, 6)]
    assert mistakes("<<: {a: 1}") == [("merge", 1, 1, 2)]
    assert mistakes("a: 1\n---\nb: 2") == [("documents", 2, 1, 3)]


def test_a_doubled_key_names_the_first_one():
    (mistake,) = read_yaml("width: 1\nwidth: 2", "f.yaml")[1]
    assert (mistake.message, mistake.fix) == ("key 'width' given twice", "second one here")
    assert [(mark.line, note) for mark, note in mistake.related] == [(1, "first one here")]


def test_keys_are_text_or_numbers_taken_as_text(root):
    assert plain(root("1: a\n2.5: b\n'true': c")) == {"1": "a", "2.5": "b", "true": "c"}
    assert mistakes("true: 1\n~: 2\n? [a]\n: 3") == [("key", 1, 1, 4), ("key", 2, 1, 1), ("key", 3, 3, 3)]


def test_a_document_mark_at_the_top_is_allowed(root):
    assert plain(root("---\na: 1\n...\n")) == {"a": 1}


def test_nothing_is_a_mistake_at_its_beginning():
    assert mistakes("") == mistakes("# only words\n") == [("empty", 1, 1, 1)]


def test_size_depth_and_number_are_limited():
    assert mistakes("[" * 100)[0][:2] == ("too-deep", 1)
    assert mistakes("[" * DEEPEST + "]" * DEEPEST) == []
    assert mistakes("[" + "1," * (MOST_NODES + 1) + "]")[0][0] == "too-large"


def test_endless_numbers_are_mistakes_and_huge_ones_are_not():
    assert mistakes("a: " + "9" * 5000) == [("number", 1, 4, 5000)]
    assert mistakes("a: 1e999999") == []


def test_all_mistakes_up_to_the_one_that_ends_the_reading_are_reported():
    assert [code for code, *_ in mistakes("a: &x 1\na: 2\nb: [")] == ["anchor", "duplicate-key", "yaml"]


def test_escapes_that_name_no_character_are_mistakes():
    assert len(mistakes('a: "\\ud800"')) == 1
    assert len(mistakes('a: "\\UFFFFFFFF"')) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[("10", 10), ("010", 10), ("-3", -3), ("+3", 3), ("0x1F", 31), ("0o17", 15)],
        *[("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("1E-2", 0.01), ("1e999", math.inf)],
        *[(".inf", math.inf), ("-.INF", -math.inf)],
    ],
)
def test_the_core_schema(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_not_a_number_is_one():
    assert math.isnan(resolve(".nan"))


@pytest.mark.parametrize(
    "text", ["NO", "yes", "on", "12:30:00", "2026-01-02", "1_000", "0b1", "1.2.3", "tRue", "-.nan", "١"]
)
def test_everything_else_is_text(text):
    assert resolve(text) == text


def test_endless_digits_are_refused():
    assert resolve("9" * MOST_DIGITS) == int("9" * MOST_DIGITS)
    with pytest.raises(ValueError, match="too long"):
        resolve("9" * (MOST_DIGITS + 1))
