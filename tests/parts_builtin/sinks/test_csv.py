import csv
from datetime import date
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from math import inf, nan
from pathlib import Path
from uuid import UUID

import pytest

from stagerunner_parts.compression import opened
from stagerunner_parts.sinks.csv import Csv
from stagerunner_parts.sources.csv import Csv as Source

ROWS = [
    {"a": 1, "b": "x, y"},
    {"a": None, "b": 'say "hi"\r\nthere\r'},
    {"b": "order", "a": "another"},
    {"a": "", "b": "ä"},
]
TEXTS = [{name: "" if row[name] is None else str(row[name]) for name in "ab"} for row in ROWS]


@pytest.fixture(params=["", ".gz"])
def path(request, tmp_path):
    return tmp_path / f"a.csv{request.param}"


def written(path, *frames, position=None, **options):
    sink = Csv(path=path, **options)
    sink.open(position)
    for frame in frames:
        sink.write(sink.encode(frame))
        sink.commit(None)
    return sink


def content(path):
    with opened(path) as file:
        return file.read()


def test_rows_read_back_as_they_were(path, items):
    written(path, ROWS).finish()
    assert items(Source(path=path)) == TEXTS
    with opened(path) as file:
        assert list(csv.DictReader(file.read().decode().splitlines(keepends=True))) == TEXTS


def test_however_frames_are_cut_the_bytes_are_the_same(path):
    written(path, ROWS).finish()
    whole = content(path)
    for borders in ([0, 1, 2, 3, 4], [0, 3, 4], [0, 0, 1, 4]):
        written(path, *(ROWS[start:stop] for start, stop in pairwise(borders))).finish()
        assert content(path) == whole


def test_encoded_frames_may_be_joined(path):
    sink = written(path)
    sink.write(sink.encode(ROWS[:1]) + sink.encode(ROWS[1:]))
    sink.finish()
    assert content(path).count(b"a,b\n") == 1


def test_how_values_are_written(path):
    record = {"a": True, "b": date(2026, 5, 12), "c": [1, {"d": None}], "e": Decimal("1.50"), "f": 0.1, "g": False}
    written(path, [record]).finish()
    assert content(path) == b'a,b,c,e,f,g\ntrue,2026-05-12,"[1,{""d"":null}]",1.50,0.1,false\n'


def test_other_fields_than_the_first_record_has(path):
    sink = written(path, [{"a": 1}])
    for other in ({"a": 1, "b": 2}, {"b": 2}):
        with pytest.raises(ValueError, match="say which to write with `fields`"):
            sink.write(sink.encode([other]))
    sink.abort()


def test_fields_say_which_there_are(path):
    written(path, [{"b": 1, "a": 2}, {"a": 3}], fields=["a", "b"], missing="fill").finish()
    assert content(path) == b"a,b\n2,1\n3,\n"


@pytest.mark.parametrize("record", [{"a": 1}, {"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}])
@pytest.mark.parametrize("known", ["from fields", "from the first record", "from the runner", "within a frame"])
def test_a_field_too_many_or_too_few(path, record, known):
    sink = Csv(path=path, fields=["a", "b"] if known == "from fields" else None)
    before = [{"a": 1, "b": 2}] if known == "within a frame" else []
    if known == "from the first record":
        sink.expect(sink.columns_of({"a": 1, "b": 2}))
    elif known == "from the runner":
        sink.expect(["a", "b"])
    with pytest.raises(ValueError, match=r"there is no column for 'c'; `extras|the record lacks 'b'; `missing"):
        sink.encode([*before, record])


def test_extras_are_ignored_and_what_is_missing_is_filled(path):
    records = [{"b": 1, "a": 2}, {"a": 3, "c": 4}, {"c": 5, "b": 6, "a": 7}]
    written(path, records, extras="ignore", missing="fill").finish()
    assert content(path) == b"b,a\n1,2\n,3\n6,7\n"


def test_what_was_encoded_for_other_columns_is_not_written(path):
    sink = written(path, [{"a": 1, "b": 2}])
    other = Csv(path=path)
    assert sink.fits(other.encode([{"b": 3, "a": 4}]))
    assert not sink.fits(other.encode([{"a": 1}]))
    assert not sink.fits(other.encode([{"a": 1, "c": 2}]))
    assert sink.columns() == ["a", "b"]
    assert other.columns() is None
    sink.abort()


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("commits", [0, 1])
def test_a_run_that_dies_before_its_first_row_is_in_the_journal_is_in_nobodys_way(path, mode, commits):
    dead = written(path, *[[]] * commits, fields=["a"], mode=mode)
    dead._growing.close()  # as a death does: nothing is removed
    written(path, [{"a": 1}], fields=["a"], mode=mode).finish()
    assert content(path) == b"a\n1\n"


def test_a_finished_run_without_records_leaves_its_row_of_names_to_a_resume(path):
    dead = written(path, [], [], fields=["a"])
    dead._growing.close()
    heir = Csv(path=path, fields=["a"])
    heir.left(dead.position())
    heir.finish()
    assert content(path) == b"a\n"


def test_fields_without_records_are_a_row_of_names(path):
    written(path, fields=["a", "b"]).finish()
    assert content(path) == b"a,b\n"


class Either(float):
    """A number of a library's own."""


class Colour(str, Enum):  # noqa: UP042  (its own text is another one)
    RED = "red"


def test_values_of_other_types_are_what_they_stand_for(path):
    written(path, [{"a": Colour.RED, "b": Either(1.5), "c": UUID(int=1), "d": [Colour.RED]}]).finish()
    assert content(path).splitlines()[1] == b'red,1.5,00000000-0000-0000-0000-000000000001,"[""red""]"'


@pytest.mark.parametrize(
    "value",
    [b"x", bytearray(b"x"), nan, inf, Decimal("NaN"), Either("inf"), {1}, [nan], {"x": {1: 2}}, object(), "\ud800"],
)
def test_what_a_cell_cannot_hold(value):
    for options in ({}, {"fields": ["a"]}):
        with pytest.raises((ValueError, TypeError)):
            Csv(path=Path("x"), **options).encode([{"a": 1}, {"a": value}])


@pytest.mark.parametrize("record", ["text", {}, {"a": 1, "c": 2}, None, {"a": 1, "b": 2, 1: 3}, {1: 1, "1": 2}])
def test_what_is_refused(record):
    with pytest.raises(ValueError):
        Csv(path=Path("x"), fields=["a", "b"]).encode([record])


@pytest.mark.parametrize("options", [{}, {"fields": ["a", "b"]}, {"delimiter": "\t"}])
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_resume_knows_the_columns(path, options, mode):
    sink = written(path, ROWS[:1], mode=mode, **options)
    sink.abort()
    written(path, ROWS[1:], position=sink.position(), mode=mode, **options).finish()
    resumed = content(path)
    path.unlink()
    written(path, ROWS, **options).finish()
    assert resumed == content(path)


def test_append_keeps_to_the_columns_that_are_there(path):
    written(path, [{"a": 1, "b": 2}]).finish()
    written(path, [{"b": 4, "a": 3}], mode="append").finish()
    assert content(path) == b"a,b\n1,2\n3,4\n"
    with pytest.raises(ValueError, match="has the columns a, b, not those of `fields`"):
        written(path, mode="append", fields=["a"])


def test_append_behind_a_row_without_a_newline(write):
    path = write("b.csv", b"a,b\r\n1,2")
    written(path, [{"a": 3, "b": 4}], mode="append").finish()
    assert path.read_bytes() == b"a,b\r\n1,2\n3,4\n"


def test_standard_output(path):
    sink = Csv(path=Path("-"), fields=["a"])
    sink.open(None)
    assert [sink.rendered(sink.encode([{"a": n}])) for n in (1, 2)] == [b"a\n1\n", b"2\n"]


@pytest.mark.parametrize("delimiter", ["", ";;", "ä", '"', "\n"])
def test_a_delimiter_that_cannot_be(path, delimiter):
    with pytest.raises(ValueError, match="one ASCII character"):
        Csv(path=path, delimiter=delimiter).check()


class Row(dict):
    """A mapping like any other."""


@pytest.mark.parametrize("fields", [None, ["a", "b"], ["b", "a"]])
@pytest.mark.parametrize(
    "last", [{"b": 6, "a": 5}, Row(a=5, b=6), {"a": True, "b": date(2026, 5, 12)}, {"a": "\r", "b": 1}]
)
def test_rows_that_are_alike_are_written_as_each_alone(tmp_path, fields, last):
    records, contents = [{"a": 1, "b": None}, {"a": "x,", "b": 0.5}, last], []
    for name, frames in (("whole", [records]), ("alone", [[record] for record in records])):
        written(tmp_path / name, *frames, fields=fields).finish()
        contents.append(content(tmp_path / name))
    assert contents[0] == contents[1]
