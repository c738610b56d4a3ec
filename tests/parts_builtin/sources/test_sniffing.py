"""How a CSV file is written, guessed from its first rows."""

import pytest

from stagerunner_parts.sources.sniffing import DELIMITERS, sniffed_delimiter, sniffed_quote


def delimiter(text, quote='"'):
    return sniffed_delimiter(lambda _: text.splitlines(), quote)


@pytest.mark.parametrize("mark", DELIMITERS)
def test_each_delimiter_is_found(mark):
    assert delimiter(f"a{mark}b\n1{mark}2\n") == mark


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a;b\n1,5;2,5\n", ";"),  # decimal commas
        ("a,b;c\n1,2;3\n", ";"),  # in every row too: a comma comes last
        ("a,b\n1,2\n1;2\n1,2\n", ","),  # most rows have the width of the first
        ('a;b\n"never;1\n2;3\n', ";"),  # a quote that is never closed costs its row alone
        ('"a,b";c\n1;2\n', ";"),  # a delimiter in quotes is none
        ("a b\n1 2\n", None),
        ("", None),
    ],
)
def test_the_character_that_splits_most_rows_alike(text, found):
    assert delimiter(text) == found


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("a;'b;c'\n", "'"),
        ("'it''s';b\n", "'"),
        ("\"a\";'b'\n", '"'),
        ("it's;o'clock\n", '"'),  # an apostrophe inside a field opens nothing
        ("a;b\n", '"'),
    ],
)
def test_the_single_quote_is_one_only_if_fields_are_in_it_and_none_in_the_double(text, quote):
    assert sniffed_quote(text, DELIMITERS) == quote


def test_without_quotes_a_quote_is_a_character():
    assert delimiter('"a;b\n1;2\n', quote=None) == ";"
