import pytest

from stagerunner import Malformed
from stagerunner_parts.sources.jsonl import Jsonl


def test_a_value_a_line(write, items):
    content = b'{"a": 1}\r\n\n "text" \n \t\n[null, 123456789012345678901234567890]\n0'
    assert items(Jsonl(path=write("a.jsonl", content))) == [{"a": 1}, "text", [None, 123456789012345678901234567890], 0]


def test_what_is_no_value_on_a_line_of_its_own(write, items):
    lines = [
        b'{"a": 1}',
        b"{broken",
        b'{"a":1}{"b":2}',
        b"1 2",
        b'{"a":',
        b"1}",
        b"null",
        b'"\xff"',
        b"NaN",
        b"[" * 9999,
    ]
    found = items(Jsonl(path=write("a.jsonl", b"\n".join(lines))))
    assert found[0] == {"a": 1}
    assert [item.type for item in found[1:]] == [
        *["JSONDecodeError"] * 6,
        "UnicodeDecodeError",
        *["JSONDecodeError"] * 2,
    ]
    assert found[1].record == "{broken"
    assert found[7].record == b'"\xff"'


def test_null_is_no_record_but_may_be_in_one(write, items):
    found = items(Jsonl(path=write("a.jsonl", b'{"a": null}\nnull\n')))
    assert found == [{"a": None}, Malformed("JSONDecodeError", "null can't be a record", "null")]


@pytest.mark.parametrize("wrong", [b"", b"{broken\n", b"null\n"])
def test_empty_lines_are_passed_over_wherever_they_are(write, items, wrong):
    found = items(Jsonl(path=write("a.jsonl", b"\n1\n \r\n" + wrong + b"\n2\n\n")))
    assert [item for item in found if isinstance(item, int)] == [1, 2]
    assert len(found) == 2 + bool(wrong)


def test_a_value_is_never_put_together_from_lines(write, items):
    """Four lines and four values, if lines did not matter."""
    found = items(Jsonl(path=write("a.jsonl", b'{"a":\n1}\n2 3\n4')))
    assert [isinstance(item, Malformed) for item in found] == [True, True, True, False]
