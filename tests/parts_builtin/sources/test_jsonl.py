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
    assert found[7] == Malformed(
        "UnicodeDecodeError", "the byte 0xff at offset 1 of the record is not UTF-8", b'"\xff"'
    )


@pytest.mark.parametrize(
    "line",
    [b'"\xff"', b'{"\xff": 1}', b"\xff", b"{broken \xff", b'"\xed\xa0\x80"', b'["\xc0\x80"]', b'"\xf4\x90\x80\x80"'],
)
def test_bad_utf8_is_said_in_words_of_our_own_wherever_it_stands(write, items, line):
    """The library once said so by a type of its own, then by another."""
    (found,) = items(Jsonl(path=write("a.jsonl", line)))
    at = next(index for index, byte in enumerate(line) if byte > 127)
    why = f"the byte 0x{line[at]:02x} at offset {at} of the record is not UTF-8"
    assert found == Malformed("UnicodeDecodeError", why, line)


def test_nesting_beyond_what_python_holds_is_said_in_words_of_our_own(write, items):
    (found,) = items(Jsonl(path=write("a.jsonl", b"[" * 99_999)))
    assert found[:2] == ("JSONDecodeError", "the line is not JSON: it is nested too deeply")


def test_what_json_has_no_word_for_is_malformed_with_any_version(write, items):
    """Numbers that aren't finite, half a surrogate pair, a byte order mark behind the start of the file."""
    lines = [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b'"\\udc00x"', b"\xef\xbb\xbf1", b"01", b"'a'", b"[1,]"]
    found = items(Jsonl(path=write("a.jsonl", b"\n".join([b"0", *lines]))))
    assert [item.type for item in found[1:]] == ["JSONDecodeError"] * len(lines)
    assert all(item.message.startswith("the line is not JSON: ") for item in found[1:])


def test_of_a_key_given_twice_the_last_one_holds(write, items):
    assert items(Jsonl(path=write("a.jsonl", b'{"a": 1, "a": 2}'))) == [{"a": 2}]


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
