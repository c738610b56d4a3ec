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
