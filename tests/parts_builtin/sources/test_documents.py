import pytest

from stagerunner_parts.sources.documents import Document


def cut(data, at="", size=1, start=0):
    document = Document("x", at.split(".") if at else [], 1000, start)
    blocks, read = [], 0
    while read < len(data):
        part = data[read : read + size]
        blocks += document.feed(part)
        read += len(part) + document.skip()
    return document, blocks + document.feed(b"")


DEEP = b'\xef\xbb\xbf{"a": {"n\\u0061me": "}", "b": [[0], {"c.d": [1, 2], "e": 7}]}, "f": [3], "f": [4]}\n'


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("at", "content"),
    [
        ("a.b", b'[0], {"c.d": [1, 2], "e": 7}]'),
        ("a.b.0", b"0]"),
        ("a.b.1.e", b"7"),
        ("a.name", b'"}"'),
        ("f", b"3]"),
        ("", DEEP.strip()[3:]),
    ],
)
def test_what_is_wanted_is_found_by_names_and_numbers(at, content, size):
    document, blocks = cut(DEEP, at, size)
    assert b"".join(block for _, block in blocks) == content
    assert DEEP[blocks[0][0] :].startswith(content)
    assert document.single == (not content.endswith(b"]"))


def test_a_name_with_a_dot_in_it():
    document = Document("x", ["a", "b", "1", "c.d"], 1000)
    assert [block for _, block in document.feed(DEEP)] == [b"1, 2]"]


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("at", ["a.b", "f", "", "a.b.1.e"])
def test_it_goes_on_at_the_end_of_every_block(at, size):
    _, whole = cut(DEEP, at, 1)
    for number, (offset, block) in enumerate(whole):
        _, rest = cut(DEEP, at, size, offset + len(block))
        assert b"".join(data for _, data in rest) == b"".join(data for _, data in whole[number + 1 :])


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize(
    ("data", "at", "why"),
    [
        (b"", "", "x is empty"),
        (b" \n", "", "x ends in the middle of its JSON, at byte 2"),
        (b"[1, 2", "", "at byte 5"),
        (b'{"a": 1', "", "at byte 7"),
        (b'"abc', "", "at byte 4"),
        (b'{"a": [1]', "a", "at byte 9"),
        (b'{"a": 1', "a", "at byte 7"),
        (b'{"a', "a", "at byte 3"),
        (b"[1] [2]", "", "byte 4: here something follows the document; for a JSON value on each line"),
        (b'{"a": 1}\n{"a": 2}\n', "", "byte 9: here something follows"),
        (b'{"a": [1]}}', "a", "byte 10: here something follows"),
        (b"[1}", "", "byte 2: here `}` closes the array"),
        (b'{"a" 1}', "a", "byte 5: here `:` is expected"),
        (b"{a: 1}", "a", "byte 1: here a name in quotes is expected"),
        (b'{"b": 1, }', "a", "byte 9: here a name in quotes"),
        (b'{"b": 1]', "a", "byte 7: here `,` or `}` is expected"),
        (b"[1}", "1", "byte 2: here `,` or `]` is expected"),
        (b'{"b": , "a": 1}', "a", "byte 6: here a value is expected"),
        (b'{"a": }', "a", "byte 6: here a value is expected"),
        (b",", "", "byte 0: here a value is expected"),
        (b'{"\\x": 1}', "a", "byte 1: this name isn't JSON"),
        (b'{"b": 1, "c": 2}', "a", "x has no 'a': it has b, c"),
        (b"{}", "a", "x has no 'a': it has no names"),
        (b'{"a": {"b": 1}}', "a.c", r"x has no 'a\.c': it has b"),
        (b'{"a": 5}', "a.c", r"x has no 'a\.c': that is neither an object nor an array"),
        (b"[[1]]", "a", "x has no 'a': that is an array: give the number of an element"),
        (b"[1, 2]", "2", "x has no '2': it has 2 elements"),
        (b"[]", "0", "x has no '0': it has 0 elements"),
    ],
)
def test_what_is_wrong_is_said_with_its_byte(data, at, why, size):
    with pytest.raises(ValueError, match=why):
        cut(data, at, size)


def test_a_name_that_is_too_long_is_not_held():
    with pytest.raises(ValueError, match="here a name begins that is too long"):
        cut(b'{"' + b"x" * 3 * 2**20, "a", 2**18)


def test_bytes_before_the_start_of_a_file_that_can_be_read_anywhere_need_not_be_fed():
    document = Document("x", [], 1000, 9000)
    assert document.feed(b"[" + b"1," * 10) == []
    assert document.skip() == 8999 - 21
    assert document.skip() == 0
    assert document.feed(b",7,") == [(9000, b"7,")]
