from __future__ import annotations

import pytest
import yaml

from stagerunner.config import yaml12
from stagerunner.config.yaml12 import read_yaml


@pytest.mark.parametrize("loader", [yaml12.Loader, yaml.SafeLoader])
@pytest.mark.parametrize(
    ("text", "place", "message", "fix"),
    [
        ("source: *.gz", "1:9", "a value that starts with `*` must be quoted", 'write "*.gz"'),
        ("x: {y: *.gz}", "1:8", "a value that starts with `*` must be quoted", 'write "*.gz"'),
        ("x: @home", "1:4", "a value that starts with `@` must be quoted", 'write "@home"'),
        ("x: %d", "1:4", "a value that starts with `%` must be quoted", 'write "%d"'),
        ("x: &", "1:4", "a value that starts with `&` must be quoted", 'write "&"'),
        ("a:\n\tb: 1", "2:1", "YAML does not allow tabs for indentation; this line starts with one", "use spaces"),
        (
            "a:\n - b\n\tc: 1",
            "3:1",
            "YAML does not allow tabs for indentation; this line starts with one",
            "use spaces",
        ),
        ("a: b: c", "1:4", "a value containing `: ` must be quoted", 'write "b: c"'),
        ('a: b == "c: d"', "1:4", "a value containing `: ` must be quoted", """write 'b == "c: d"'"""),
        ("- a: b: c", "1:6", "a value containing `: ` must be quoted", 'write "b: c"'),
        ("{salt: ${env:X}}", "1:8", "inside { } and [ ] a variable must be quoted", 'write "${env:X}"'),
        ("[a, b: ${x}]", "1:8", "inside { } and [ ] a variable must be quoted", 'write "${x}"'),
        ("sink: -", "1:7", "a lone `-` must be quoted", 'write stdout, or "-"'),
        (
            "a: - b",
            "1:4",
            "a list can't begin on the line of its key",
            "begin it on a line of its own, or write [a, b]",
        ),
        ("x: 'it's'", "1:4", "a `'` inside single quotes must be doubled", "write 'it''s', or use double quotes"),
        ('x: "a" b', "1:4", "something follows the closing quote", "quote all of it, with `'` outside"),
        ("expr: [a-z]+", "1:7", "a value that starts with `[` must be quoted", 'write "[a-z]+"'),
        ("fmt: {a}/{b}", "1:6", "a value that starts with `{` must be quoted", 'write "{a}/{b}"'),
        (
            *("stages:\n  - use: parse\n   with: {a: 1}", "3:4", "this line doesn't line up with the list above it"),
            "line up `with:` under `use:` (column 5)",
        ),
        (
            *("- a\nb: 1", "2:1", "this line doesn't line up with the list above it"),
            "line it up with the list, or indent it under one of its items",
        ),
        (
            *("- use: a\n   with: {a: 1}", "2:8", "this line doesn't fit the lines above it"),
            "line it up with the keys around it, and end the line above with `:` if it is a key",
        ),
        ("a: 'x\nb: 1", "1:4", "this quote is never closed", "close it"),
        ("a: [1, 2\nb: 1", "2:2", "here a `,` or `]` is missing", ""),
        (
            *('{rule: a in ["x"], b: 1}', "1:13", "here a `,` or `}` is missing"),
            "if `[` is part of a text, put all of the text in quotes",
        ),
        ("a: {b: 1\nc: 2", "2:2", "here a `,` or `}` is missing", ""),
    ],
)
def test_what_was_meant(monkeypatch, loader, text, place, message, fix):
    monkeypatch.setattr(yaml12, "Loader", loader)
    (mistake,) = read_yaml(text, "f.yaml")[1]
    assert f"{mistake.mark.line}:{mistake.mark.column}" == place
    assert (mistake.message, mistake.fix) == (message, fix)


@pytest.mark.parametrize("text", ['x: "C:\\Users"', 'x: "\\q"'])
def test_a_backslash_in_double_quotes(text):
    (mistake,) = read_yaml(text, "f.yaml")[1]
    assert mistake.fix == "use single quotes, or write `\\\\`"


def test_a_bracket_that_is_not_closed_names_where_it_opened():
    (mistake,) = read_yaml("a:\n  [1, 2\nb: 1", "f.yaml")[1]
    assert [(mark.line, mark.column, note) for mark, note in mistake.related] == [(2, 3, "opened here")]


def test_anything_else_is_reported_in_the_words_of_pyyaml():
    (mistake,) = read_yaml("%YAML 2.0\n---\na: 1", "f.yaml")[1]
    assert mistake.message.startswith("this can't be read as YAML: ")


def test_places_in_an_argument_count_from_its_beginning():
    (mistake,) = read_yaml("*.gz", "--set", lead="source=")[1]
    assert (mistake.mark.column, mistake.mark.text) == (8, "source=*.gz")
