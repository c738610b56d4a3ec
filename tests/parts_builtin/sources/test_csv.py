from pathlib import Path

import pytest

from stagerunner import Malformed
from stagerunner_parts.sources.csv import WIDE, Csv


def test_a_row_a_record(write, items):
    path = write("a.csv", b'id,name\r\n1,amy\r\n\r\n2,"b, ""c""\nd"\n')
    assert items(Csv(path=path)) == [{"id": "1", "name": "amy"}, {"id": "2", "name": 'b, "c"\nd'}]


def test_each_file_has_its_own_names(write, items):
    paths = [
        write("a.csv", b"\n\xef\xbb\xbfx\n1\n"),
        write("b.csv", b"\xef\xbb\xbfy\n2"),
        write("c.csv", b"z\n"),
        write("d.csv", b""),
    ]
    assert items(Csv(path=paths[1:])) == [{"y": "2"}]
    assert items(Csv(path=paths[:1])) == [{"\ufeffx": "1"}]


def test_names_that_are_given(write, items):
    path = write("a.csv", b"1;'x;y'\n")
    assert items(Csv(path=path, fields=["a", "b"], delimiter=";", quote="'")) == [{"a": "1", "b": "x;y"}]


def test_names_from_standard_input(fed):
    assert fed(Csv(path=Path("-")), b'\n"a\nb",c\n1,2\n', 1) == [{"a\nb": "1", "c": "2"}]
    assert fed(Csv(path=Path("-"), fields=["a"]), b"1\n", 1) == [{"a": "1"}]


def test_rows_that_are_malformed_cost_themselves_only(write, items):
    rows = [b"a,b", b"1,2", b"1", b"1,2,3", b'"x"y,2', b"\xff,1", b'1"2,"3', b"5,6"]
    found = items(Csv(path=write("a.csv", b"\n".join(rows))))
    assert found[0] == {"a": "1", "b": "2"}
    assert found[1] == Malformed("FieldCount", "the row has 1 field, but there are 2 columns", "1")
    assert [item.type for item in found[2:6]] == ["FieldCount", "CSVError", "UnicodeDecodeError", "CSVError"]
    assert found[6] == {"a": "5", "b": "6"}


def test_a_long_field_is_for_max_record_to_judge(write, items):
    source = Csv(path=write("a.csv", b"a\n" + b"x" * 300_000))
    assert [len(item["a"]) for item in items(source)] == [300_000]


@pytest.mark.parametrize(
    ("content", "why"), [(b"a,b,a\n", "has 'a' twice"), (b"\xff\n", "can't be read"), (b'"a"b\n', "can't be read")]
)
def test_names_that_cannot_be(write, content, why):
    with pytest.raises(ValueError, match=why):
        Csv(path=write("a.csv", content)).check()


def test_names_that_are_too_long(write):
    source = Csv(path=write("a.csv", b"a" * 300_000))
    source.max_record = 1000
    with pytest.raises(ValueError, match="longer than max_record allows: 1,000 bytes"):
        source.check()


@pytest.mark.parametrize("options", [{"delimiter": ";;"}, {"delimiter": "ä"}, {"quote": ""}, {"quote": "\n"}])
def test_characters_that_cannot_be(write, options):
    with pytest.raises(ValueError, match="one ASCII character"):
        Csv(path=write("a.csv", b"a\n"), **options).check()


@pytest.mark.parametrize("wrong", [b"", b"1\n", b'"x"y,2\n'])
def test_empty_rows_are_passed_over_wherever_they_are(write, items, wrong):
    found = items(Csv(path=write("a.csv", b"a,b\n\n1,2\n\r\n" + wrong + b"\n3,4\n\n")))
    assert [item for item in found if isinstance(item, dict)] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert len(found) == 2 + bool(wrong)


def test_empty_rows_where_no_fields_are_named(write, items):
    found = items(Csv(path=write("a.csv", b"\n\n1\n"), fields=[]))
    assert [item.message for item in found] == ["the row has 1 field, but there are 0 columns"]


@pytest.mark.parametrize("width", [1, 2, WIDE, WIDE + 1, 3 * WIDE])
def test_rows_of_every_width(write, items, width):
    names, row = [f"n{n}" for n in range(width)], [str(n) for n in range(width)]
    lines = [",".join(cells) for cells in (names, row, [*row, "more"], row)]
    found = items(Csv(path=write("a.csv", "\n".join(lines).encode())))
    assert [found[0], found[2]] == [dict(zip(names, row, strict=True))] * 2
    assert found[1].type == "FieldCount"


def test_a_name_may_look_like_code(write, items):
    names = ["n0: 1}", "'", "\\", "{v0}", "] for"]
    found = items(Csv(path=write("a", b"1,2,3,4,5"), fields=names))
    assert found == [dict(zip(names, "12345", strict=True))]


@pytest.mark.parametrize("row", [b'9,5" disk', b'9,"never closed', b'9,"a"b', b'9,x"y"z"'])
@pytest.mark.parametrize("regular", [b'7,"a\nb"\n8,x\n', b"7,a\n8,x\n"])
def test_a_stray_quote_costs_its_row_at_most(write, items, fed, row, regular):
    content = b"id,text\n" + regular * 50 + row + b"\n" + regular.replace(b'"', b"") * 20
    found = items(Csv(path=write("a.csv", content)), 100)
    rest = items(Csv(path=write("b.csv", content.replace(row + b"\n", b""))), 100)
    assert [item for item in found if item not in rest] == found[100:101]
    assert len(found) == len(rest) + 1
    assert fed(Csv(path=Path("-")), content, 7) == found


def test_a_quote_that_is_never_closed_is_named_as_the_reason(write, items):
    (found, *rest) = items(Csv(path=write("a.csv", b'a,b\n1,"x\n2,y\n3,z\n')))
    assert found == Malformed("CSVError", "a quote opens a field and is never closed", '1,"x')
    assert rest == [{"a": "2", "b": "y"}, {"a": "3", "b": "z"}]


def test_a_row_that_grows_too_long_costs_its_first_line(write, items):
    source = Csv(path=write("a.csv", b'a,b\n1,"x\n' + b"2,y\n" * 100 + b'3,"\n4,z\n'))
    source.max_record = 50
    found = items(source, 30)
    assert [type(item) for item in found].count(Malformed) == 2
    assert [item["a"] for item in found if isinstance(item, dict)] == ["2"] * 100 + ["4"]


def test_null_characters_are_characters(write, items):
    assert items(Csv(path=write("a.csv", b"a,b\n1,x\0y\n"))) == [{"a": "1", "b": "x\0y"}]


def test_delimiter_and_quote_have_to_differ(write):
    with pytest.raises(ValueError, match="they must differ"):
        Csv(path=write("a", b"a"), delimiter='"').check()


def test_a_mark_at_the_start_may_be_named_by_the_encoding(write, items):
    path = write("a.csv", b"\xef\xbb\xbfa\n\xef\xbb\xbf1\n")
    assert items(Csv(path=path, encoding="utf-8-sig")) == items(Csv(path=path)) == [{"a": "\ufeff1"}]
