"""N runs, each of one shard, and their merge: what one run without shards gives."""

from __future__ import annotations

import gzip

import pytest
from support.leaks import needs_proc
from support.sharding import OUTPUTS, chain, in_shards, merged, run, written

pytestmark = needs_proc


@pytest.mark.parametrize(("of", "source"), [(1, "numbers.txt"), (3, "numbers.txt.gz"), (16, "numbers.txt")])
def test_a_merge_equals_the_run_of_one_machine(project, of, source):
    chain(project, source=source)
    run(project)
    whole = written(project, *OUTPUTS)
    for name in OUTPUTS:
        (project / name).unlink()

    in_shards(project, of)
    merged(project, of)

    assert written(project, *OUTPUTS) == whole


def test_shards_that_are_killed_are_resumed_one_by_one(project):
    chain(project, run={"checkpoint": "0s"})
    run(project)
    whole = written(project, *OUTPUTS)

    chain(project, "fatal", run={"checkpoint": "0s"})
    assert in_shards(project, 3) == 4
    merged(project, 3)

    assert written(project, *OUTPUTS) == whole


def test_more_shards_than_records(project):
    chain(project)
    (project / "numbers.txt").write_text("1\n2\n4\n")

    in_shards(project, 5)
    merged(project, 5, code=0)

    assert (project / "out.jsonl").read_text() == '{"number":1}\n{"number":2}\n{"number":4}\n'


def test_several_sinks_are_joined_each(project):
    sinks = [{"use": "lines", "with": {"path": "odd.txt"}, "when": "number % 2 == 1"}, "all.jsonl"]
    chain(project, sink=None, sinks=sinks)
    run(project)
    names = ("odd.txt", "all.jsonl", "failed.jsonl", "dropped.jsonl")
    whole = written(project, *names)

    in_shards(project, 3)
    merged(project, 3)

    assert written(project, *names) == whole


def test_compressed_outputs_are_joined(project):
    chain(project, sink="out.jsonl.gz")
    run(project)
    whole = gzip.decompress((project / "out.jsonl.gz").read_bytes())

    in_shards(project, 3)
    merged(project, 3)

    assert gzip.decompress((project / "out.jsonl.gz").read_bytes()) == whole


def test_a_csv_file_has_one_row_of_names(project):
    chain(project, sink={"use": "csv", "with": {"path": "out.csv", "fields": ["number"]}})
    run(project)
    whole = written(project, "out.csv")

    in_shards(project, 3)
    merged(project, 3)

    assert written(project, "out.csv") == whole
