import pytest

from stagerunner_parts.text import Replace, lower, strip, upper, words


def test_strip():
    assert strip("  a b \t") == "a b"
    assert strip("--a--", chars="-") == "a"


def test_case():
    assert lower("Straße A") == "straße a"
    assert upper("a") == "A"


def test_words_are_cut_at_white_space():
    assert list(words(" one, two\tthree ")) == ["one,", "two", "three"]
    assert list(words("  ")) == []


def test_replace():
    assert Replace(old="a.", new="x").process("a.ab") == "xab"
    assert Replace(old=r"(\w)\.", new=r"<\1>", regex=True).process("a.ab.") == "<a>a<b>"
    assert Replace(old="a.", new=r"\1").process("a.") == r"\1"


def test_replace_with_a_broken_expression_is_no_stage():
    with pytest.raises(ValueError, match="`old` is not a regular expression"):
        Replace(old="(", new="", regex=True)
