"""Records as a program reads them, and its answers as records."""

from __future__ import annotations

import pytest

from stagerunner import Reject
from stagerunner_parts.programs.formats import FORMATS, BadAnswer


@pytest.mark.parametrize(
    ("name", "record", "data"),
    [
        ("lines", "ä", "ä\n".encode()),
        ("lines", "a\n", b"a\n"),
        ("lines", b"\xff", b"\xff"),
        ("jsonl", {"a": "ä\n", "b": [1, None]}, '{"a": "ä\\n", "b": [1, null]}\n'.encode()),
        ("jsonl", "\ud800", b'"\\ud800"\n'),
        ("bytes", b"a\0", b"a\0"),
    ],
)
def test_a_record_as_input(name, record, data):
    assert FORMATS[name].encode(record) == data


@pytest.mark.parametrize(
    ("name", "record", "why"),
    [
        ("lines", {"a": 1}, "takes a text, but the record is of type dict; `format: jsonl`"),
        ("lines", "\ud800", "can't be written as UTF-8"),
        ("jsonl", {"a": {1, 2}}, "can't be written as JSON"),
        ("jsonl", float("nan"), "can't be written as JSON"),
    ],
)
def test_a_record_that_the_format_has_no_form_for(name, record, why):
    with pytest.raises(Reject) as refused:
        FORMATS[name].encode(record)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("name", "answer", "records"),
    [
        ("lines", b"", []),
        ("lines", b"\n", [""]),
        ("lines", b"a\r\n\nb", ["a", "", "b"]),
        ("jsonl", b'1\nnull\n{"a": "\xc3\xa4"}\n', [1, {"a": "ä"}]),
        ("text", b"a\nb\n", ["a\nb\n"]),
        ("bytes", b"\xff\n", [b"\xff\n"]),
    ],
)
def test_an_answer_as_records(name, answer, records):
    assert list(FORMATS[name].decode(answer)) == records


@pytest.mark.parametrize(
    ("name", "answer", "why"),
    [
        ("lines", b"a\n\xff", "not UTF-8: invalid start byte at byte 0; `format: bytes`"),
        ("text", b"a\n\xff", "not UTF-8: invalid start byte at byte 2"),
        ("jsonl", b"\n", "isn't JSON"),
        ("jsonl", b"1\noops: no\n", "isn't JSON: Expecting value: line 1 column 1 (char 0): 'oops: no'"),
        ("jsonl", b"[" * 100_000, "isn't JSON: it is nested too deeply"),
        ("jsonl", b'{"a": NaN}\n', "isn't JSON: JSON has no NaN"),
        ("jsonl", b"1e999\n", "isn't JSON: 1e999 is too large a number"),
    ],
)
def test_an_answer_that_is_none(name, answer, why):
    with pytest.raises(BadAnswer) as bad:
        list(FORMATS[name].decode(answer))
    assert why in str(bad.value)
