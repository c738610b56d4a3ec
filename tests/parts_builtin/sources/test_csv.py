import csv
import random
from io import StringIO
from pathlib import Path

import pytest

from stagerunner import Malformed, Want
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


def test_a_tsv_file_has_tabs(write, items):
    paths = [write("a.tsv", b'a\tb\n1,5\t"x\ty"\n'), write("B.TSV.GZ", b"a\tb\n2\t\n"), write("c.csv", b"a,b\n3,4\n")]
    paths[1].write_bytes(write("b.gz", b"a\tb\n2\t\n").read_bytes())
    found = items(Csv(path=paths))
    assert found == [{"a": "1,5", "b": "x\ty"}, {"a": "2", "b": ""}, {"a": "3", "b": "4"}]
    assert items(Csv(path=paths[0], delimiter=","))[0].message == "the row has 2 fields, but there are 1 columns"


def test_a_header_row_that_is_named_anew_or_is_not_there(write, items):
    path = write("a.csv", b"x,x\n1,2\n")
    assert items(Csv(path=path, header=True, fields=["a", "b"])) == [{"a": "1", "b": "2"}]
    assert items(Csv(path=path, header=False, fields=["a", "b"]))[0] == {"a": "x", "b": "x"}
    with pytest.raises(ValueError, match=r"need the names of the columns: fields: \[a, b\]"):
        Csv(path=path, header=False).check()
    with pytest.raises(ValueError, match="name the columns with `fields`, and say `header: true`"):
        Csv(path=path).check()


def test_every_file_has_a_header_row_of_its_own(write, items):
    paths = [write("a.csv", b"a,b\n1,2\n"), write("b.csv", b"b,a\n3,4\n")]
    assert items(Csv(path=paths)) == [{"a": "1", "b": "2"}, {"b": "3", "a": "4"}]
    assert items(Csv(path=paths, header=True, fields=["x", "y"])) == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


def test_without_quotes_a_quote_is_a_character(write, items):
    path = write("a.tsv", b'a\tb\n"x\t5" disk\n')
    assert items(Csv(path=path, quote=None)) == [{"a": '"x', "b": '5" disk'}]


def test_comments_are_no_records_whatever_quotes_are_in_them(write, items):
    path = write("a.csv", b'\xef\xbb\xbf# the "old, "ones\na,b\n#,"\n1,2\n"x\n# no",#3\n#4')
    assert items(Csv(path=path, comment="#")) == [{"a": "1", "b": "2"}, {"a": "x\n# no", "b": "#3"}]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ["FieldCount", "FieldCount"]),
        ({"extras": "ignore"}, ["FieldCount", {"a": "2", "b": "3"}]),
        ({"missing": "fill"}, [{"a": "1", "b": ""}, "FieldCount"]),
        ({"extras": "ignore", "missing": "fill"}, [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]),
    ],
)
def test_rows_with_too_few_and_too_many_fields(write, items, options, found):
    got = items(Csv(path=write("a.csv", b"a,b\n1\n2,3,4\n"), **options))
    assert [item.type if isinstance(item, Malformed) else item for item in got] == found


def test_a_ragged_row_is_located_by_byte_and_line(write):
    source = Csv(path=write("a.csv", b'a,b\n"1\n",2\n3\n'))
    (split,) = source.splits(None, Want())
    assert list(source.read(split))[1].type == "FieldCount"
    where = source.locate(split, 1)
    assert (where.offset, where.line) == (11, 4)


@pytest.mark.parametrize(
    ("content", "dialect"),
    [
        (b"a;b\n1,5;2,5\n3,5;4,5\n", (";", '"')),
        (b"a,b;c\n1,2\n3,4;\n", (",", '"')),
        (b"a|b\n'x|y'|1\n", ("|", "'")),
        (b"it's,b\n'x,y\n", (",", '"')),
        (b"a\tb\n1 2\t3\n", ("\t", '"')),
        (b"# a;b;c\n\na,b\n1,2\n", (",", '"')),
        (b"one\ntwo\n", (",", '"')),
        (b"", (",", '"')),
        (b'a;b\n"never;1\n2;3\n', (";", '"')),
    ],
)
def test_a_dialect_is_sniffed(write, content, dialect):
    source = Csv(path=write("a.csv", content), delimiter="sniff", quote="sniff", comment="#")
    source.check()
    assert source._sniffed == {str(source.path): dialect}


def test_only_what_is_to_be_sniffed_is(write, items):
    path = write("a.csv", b"a;b\n'1;1';2\n")
    assert items(Csv(path=path, delimiter="sniff", quote="'")) == [{"a": "1;1", "b": "2"}]
    assert items(Csv(path=path, delimiter=";", quote="sniff")) == [{"a": "1;1", "b": "2"}]
    assert items(Csv(path=path, quote="sniff", header=False, fields=["x"]))[0] == {"x": "a;b"}
    assert items(Csv(path=[path, write("b.gz", b"a,b\n3,4\n")], delimiter="sniff", quote="sniff"))[1] == {
        "a": "3",
        "b": "4",
    }


def test_what_comes_after_the_head_is_not_sniffed(write):
    source = Csv(path=write("a.csv", b"a;b\n" + b"1;2\n" * 20000 + b"1,2\n" * 90000), delimiter="sniff")
    source.check()
    assert list(source._sniffed.values()) == [(";", '"')]


def test_a_stream_is_not_sniffed():
    with pytest.raises(ValueError, match="a stream is read only once, so it can't be sniffed"):
        Csv(path=Path("-"), delimiter="sniff").check()


@pytest.mark.parametrize("options", [{"comment": '"'}, {"comment": ";", "delimiter": ";"}, {"comment": "--"}])
def test_a_comment_that_cannot_be(write, options):
    with pytest.raises(ValueError, match=r"they must differ|one ASCII character"):
        Csv(path=write("a", b"a"), **options).check()


@pytest.mark.parametrize("seed", range(60))
def test_tables_in_random_dialects_are_sniffed_and_read_as_they_were_written(write, items, seed):
    chance = random.Random(seed)
    delimiter, quote, comment = chance.choice("\t;|,"), chance.choice("\"'"), chance.choice([None, "#"])
    width, pieces = chance.randint(2, 5), ["x", "ä b", "1", quote, delimiter, "\n", "0.5"]
    rows = [
        {f"n{column}": "".join(chance.choices(pieces, k=chance.randint(0, 3))) for column in range(width)}
        for _ in range(chance.randint(1, 30))
    ]
    text = StringIO(newline="")
    # All texts in quotes, so that the quote can be known from the head.
    options = {"delimiter": delimiter, "quotechar": quote, "lineterminator": chance.choice(["\n", "\r\n"])}
    csv.writer(text, quoting=csv.QUOTE_ALL, **options).writerows([rows[0], *map(dict.values, rows)])
    remark = f"# {quote},{delimiter}x\n" if comment else ""
    source = Csv(
        path=write("a.csv", (remark + text.getvalue()).encode()), delimiter="sniff", quote="sniff", comment=comment
    )
    for size in (1, 50, 10**6):
        assert items(source, size) == rows
