from __future__ import annotations

import pytest

from stagerunner.config.references import PIECE, Reference, measured, reference, typed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${vars.day}", Reference("vars", "day", None)),
        ("${vars.day:-mon}", Reference("vars", "day", "mon")),
        ("${vars.my-day:-}", Reference("vars", "my-day", "")),
        ("${env:HOME}", Reference("env", "HOME", None)),
        ("${secret:KEY:-a:b}", Reference("secret", "KEY", "a:b")),
    ],
)
def test_the_forms_of_a_variable(text, found):
    assert reference(text) == found


@pytest.mark.parametrize(
    "text", ["${foo}", "${env:}", "${env:A B}", "${vars.}", "${vars}", "${}", "${vars.x", "$x", "a${vars.x}"]
)
def test_nothing_else_is_one(text):
    assert reference(text) is None


def test_what_wants_to_be_filled_in():
    assert PIECE.findall("a $$ ${b} $c ${d") == ["$$", "${b}", "${d"]


def test_a_text_takes_its_type_but_is_never_null():
    assert [typed(text) for text in ("4", "1.5", "true", "x", "null", "")] == [4, 1.5, True, "x", "null", ""]
    assert typed("9" * 5000) == "9" * 5000


def test_depth_and_number_of_nodes(root):
    assert measured(root("a")) == (0, 1)
    assert measured(root("{a: [1, 2], b: {}}")) == (2, 5)
