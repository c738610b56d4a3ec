from __future__ import annotations

import pytest

from stagerunner.config.text import MOST_BYTES, ConfigText, Unreadable, decode
from stagerunner.errors import Mark


def refused(data):
    with pytest.raises(Unreadable) as error:
        decode(data, "f.yaml")
    mistake = error.value.mistake
    return mistake.message, mistake.mark.line, mistake.mark.column


def test_marks_count_from_one_and_show_their_line():
    assert ConfigText("a\nbcd", "f").mark(1, 2) == Mark("f", 2, 3, "bcd")


def test_marks_behind_the_end_show_nothing():
    assert ConfigText("a", "f").mark(5, 0) == Mark("f", 6, 1, "")


def test_a_lead_is_shown_and_counted_on_the_first_line_only():
    page = ConfigText("1\n2", "--set", lead="run.frame=")
    assert page.mark(0, 0) == Mark("--set", 1, 11, "run.frame=1")
    assert page.mark(1, 0) == Mark("--set", 2, 1, "2")


def test_lines_end_where_yaml_ends_them():
    assert ConfigText("a\r\nb\rc\x85d\u2028e", "f").lines == ["a", "b", "c", "d", "e"]


def test_a_byte_order_mark_is_dropped():
    assert decode(b"\xef\xbb\xbfa: 1", "f").text == "a: 1"


def test_unreadable_bytes_have_a_place():
    assert refused(b"\xff\xfea\0") == ("the file is UTF-16", 1, 1)
    assert refused("a: ü\nö".encode() + b"\xff") == ("the byte 0xff is not UTF-8", 2, 2)
    assert refused(b"a: 1\nb: \0") == ("the character U+0000 is not allowed in a config", 2, 4)
    assert refused("a: \x1b[31m") == ("the character U+001B is not allowed in a config", 1, 4)
    assert refused("a: \ud800") == ("the character U+D800 is not allowed in a config", 1, 4)
    assert refused(b" " * (MOST_BYTES + 1)) == ("a config is at most 1 MiB", 1, 1)
