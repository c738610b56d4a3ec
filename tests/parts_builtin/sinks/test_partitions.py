from __future__ import annotations

import gzip
import json
import os
import resource

import pytest

from stagerunner_parts.sinks.csv import Csv
from stagerunner_parts.sinks.jsonl import Jsonl
from stagerunner_parts.sinks.naming import LONGEST
from stagerunner_parts.sinks.partitions import MOST_OPEN


def written(sink, records, position=None):
    """The sink, open, with these records written and committed."""
    sink.open(position)
    sink.write(sink.encode(records))
    sink.commit(None)
    return sink


def files(folder):
    """The files that have their final names, and the texts in them."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".partial" not in str(path))
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def test_each_value_has_a_file_with_its_records_in_order(tmp_path):
    sink = Jsonl(path=tmp_path / "{c}" / "n{n}.jsonl")
    written(sink, [{"c": "b", "n": 1}, {"c": "a", "n": 1, "x": 1}, {"c": "b", "n": 1, "x": 2}]).finish()

    assert files(tmp_path) == {
        "a/n1.jsonl": '{"c":"a","n":1,"x":1}\n',
        "b/n1.jsonl": '{"c":"b","n":1}\n{"c":"b","n":1,"x":2}\n',
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_few_files_are_open_at_once_and_none_loses_anything(tmp_path):
    sink = Jsonl(path=tmp_path / "{n}.jsonl.gz")
    sink.open(None)
    for turn in range(3):
        sink.write(sink.encode([{"n": n, "turn": turn} for n in range(3 * MOST_OPEN)]))
    sink.finish()

    assert len(list(tmp_path.iterdir())) == 3 * MOST_OPEN
    lines = gzip.decompress((tmp_path / "77.jsonl.gz").read_bytes()).splitlines()
    assert [json.loads(line)["turn"] for line in lines] == [0, 1, 2]


@pytest.mark.parametrize("kind", [Jsonl, Csv])
def test_a_process_that_may_open_few_files_has_fewer_open(tmp_path, kind):
    sink = kind(path=tmp_path / "{n}.x")
    sink.open(None)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 5, before[1]))
        for turn in range(2):
            sink.write(sink.encode([{"n": n, "turn": turn} for n in range(20)]))
            sink.commit(None)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    sink.finish()
    assert sorted(path.read_text().count("\n") for path in tmp_path.iterdir()) == [2 + (kind is Csv)] * 20


def test_each_csv_file_has_its_columns_once(tmp_path):
    sink = Csv(path=tmp_path / "{c}.csv")
    written(sink, [{"c": 1, "x": 1}, {"c": 2, "x": 2, "y": 0}])
    sink.write(sink.encode([{"x": 3, "c": 1}]))
    sink.finish()

    assert files(tmp_path) == {"1.csv": "c,x\n1,1\n1,3\n", "2.csv": "c,x,y\n2,2,0\n"}


def test_no_value_leads_out_of_the_folder(tmp_path):
    values = ["../../etc", "a/b", "..", "", ".x", "nul\0l", "x" * 400, "é" * 300]
    written(Jsonl(path=tmp_path / "in" / "{c}.jsonl"), [{"c": value} for value in values]).finish()

    found = list(files(tmp_path))
    assert len(found) == len(values)
    assert {name.partition("/")[0] for name in found} == {"in"}
    assert all(len(name.encode()) <= LONGEST + len("in/") for name in found)


@pytest.mark.parametrize("record", [{"d": 1}, {"c": None}, "text"])
def test_a_record_without_the_field_is_refused(tmp_path, record):
    with pytest.raises(ValueError, match=r"no field .c.|is null|needs a mapping"):
        Jsonl(path=tmp_path / "{c}.jsonl").encode([record])


def test_a_resume_cuts_files_back_and_removes_later_ones_even_if_the_journal_is_one_commit_behind(tmp_path):
    sink = written(Jsonl(path=tmp_path / "{c}.jsonl"), [{"c": 1}, {"c": 2}])
    position = sink.position()
    sink.write(sink.encode([{"c": 1}, {"c": 3}]))
    sink.commit(None)
    sink.write(sink.encode([{"c": 2}, {"c": 4}]))
    sink.abort()

    again = written(Jsonl(path=tmp_path / "{c}.jsonl"), [{"c": 2}], position)
    again.finish()

    assert files(tmp_path) == {"1.jsonl": '{"c":1}\n', "2.jsonl": '{"c":2}\n{"c":2}\n'}


def test_a_finish_that_was_killed_half_way_goes_on(tmp_path):
    sink = written(Jsonl(path=tmp_path / "{c}.jsonl"), [{"c": 1}, {"c": 2}])
    position = sink.position()
    sink.abort()
    (hidden,) = tmp_path.iterdir()
    (hidden / "2.jsonl").rename(tmp_path / "2.jsonl")

    for _ in range(2):
        again = Jsonl(path=tmp_path / "{c}.jsonl")
        again.left(position)
        again.finish()

    assert list(files(tmp_path)) == ["1.jsonl", "2.jsonl"]


def test_replace_leaves_files_without_new_records_and_new_overwrites_nothing(tmp_path):
    written(Jsonl(path=tmp_path / "{c}.jsonl"), [{"c": 1}, {"c": 2}]).finish()
    written(Jsonl(path=tmp_path / "{c}.jsonl"), [{"c": 2, "x": 1}]).finish()

    assert files(tmp_path) == {"1.jsonl": '{"c":1}\n', "2.jsonl": '{"c":2,"x":1}\n'}
    with pytest.raises(FileExistsError, match="overwrites nothing"):
        Jsonl(path=tmp_path / "{c}.jsonl", mode="new").check_new()
    with pytest.raises(ValueError, match="not appended to"):
        Jsonl(path=tmp_path / "{c}.jsonl", mode="append").check()


def test_two_runs_do_not_share_a_folder(tmp_path):
    sink = written(Jsonl(path=tmp_path / "{c}.jsonl"), [{"c": 1}])
    other = Jsonl(path=tmp_path / "{c}.jsonl")
    other.left(sink.position())

    with pytest.raises(BlockingIOError):
        other.open(None)
    sink.finish()

    assert files(tmp_path) == {"1.jsonl": '{"c":1}\n'}


def test_what_another_program_left_in_the_way_is_kept(tmp_path):
    hidden = tmp_path / ".x.jsonl.partial"
    hidden.mkdir()
    (hidden / "theirs").write_text("x")

    with pytest.raises(FileExistsError, match="in the way"):
        Jsonl(path=tmp_path / "{c}.jsonl").open(None)
