from pathlib import Path

import pytest
from support.compressed import SUFFIXES

from stagerunner import Malformed
from stagerunner_parts.sources.lines import Lines


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_record_a_line(write, items, suffix):
    path = write("a.log" + suffix, "one\r\n\ntwö\r\r\n three".encode())
    assert items(Lines(path=path)) == ["one", "", "twö\r", " three"]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_records(write, items, content):
    assert items(Lines(path=write("a", content))) == []


def test_a_byte_order_mark_is_dropped_at_the_start_of_each_file(write, items):
    paths = [write(name, b"\xef\xbb\xbfx\n\xef\xbb\xbfy\n") for name in "ab"]
    assert items(Lines(path=paths)) == ["x", "\ufeffy"] * 2


@pytest.mark.parametrize("errors", ["strict", "replace", "ignore"])
def test_bytes_that_are_no_characters(write, items, errors):
    found = items(Lines(path=write("a", b"one\nt\xffo\r\nthree\n"), errors=errors))
    assert found[::2] == ["one", "three"]
    if errors == "strict":
        assert isinstance(found[1], Malformed)
        assert (found[1].type, found[1].record) == ("UnicodeDecodeError", b"t\xffo\r")
    else:
        assert found[1] == {"replace": "t\ufffdo", "ignore": "to"}[errors]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "shift_jis"])
def test_long_lines_are_decoded_as_short_ones_are(write, items, encoding, ending):
    letter = "ä" if encoding == "latin-1" else "ア"
    texts = [letter * 5000, "x" * 4095, letter * 4096, "short", "", "y" * 9000]
    path = write("a", ending.join([*texts, "z" * 5000]).encode(encoding))
    assert items(Lines(path=path, encoding=encoding)) == [*texts, "z" * 5000]


def test_a_long_line_of_bytes_that_are_no_characters_costs_no_other(write, items):
    before, wrong, behind = items(Lines(path=write("a", b"x" * 5000 + b"\n" + b"\xff" * 5000 + b"\n" + b"y" * 5000)))
    assert (before, wrong.type, behind) == ("x" * 5000, "UnicodeDecodeError", "y" * 5000)


def test_another_encoding(write, items):
    assert items(Lines(path=write("a", b"\xe4\n"), encoding="latin-1")) == ["ä"]


def test_an_encoding_that_cannot_be_cut(write):
    with pytest.raises(ValueError, match="convert it to UTF-8"):
        Lines(path=write("a", b""), encoding="utf-16").check()


def test_a_missing_file():
    with pytest.raises(FileNotFoundError, match=r"there is no file nowhere\.log"):
        Lines(path=Path("nowhere.log")).check()
