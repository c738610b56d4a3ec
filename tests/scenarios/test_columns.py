"""A record with other columns than the output fails alone, with any number of workers, and when a worker dies."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from random import Random

import pytest

STAGES = """
import json, os, pathlib
GIVEN = json.loads(pathlib.Path(__file__).with_name("given.json").read_text())
@stage
def made(n: int, *, dies: int = -1):
    if n == dies and once("died"):
        os.kill(os.getpid(), 9)
    return {name: GIVEN[n][name] for name in sorted(GIVEN[n], reverse=n % 3 == 0)}
"""


def records(seed: int) -> list[dict[str, int]]:
    """Most have `n` and `a`; some of the first, too, have a field too many or too few."""
    random = Random(seed)
    found = []
    for n in range(200):
        odd = n in (1, 2) or (n and random.random() < (0.4 if n < 12 else 0.03))
        found.append({"n": n} | (random.choice([{}, {"b": 1}, {"a": 1, "b": 2}]) if odd else {"a": n * n}))
    return found


SINKS = {
    "csv": {"use": "csv", "with": {"path": "out.csv"}},
    "sqlite": {"use": "sqlite", "with": {"path": "out.db", "table": "t"}},
}


def content(project, sink):
    if sink == "csv":
        header, *rows = (project / "out.csv").read_text().splitlines()
        return [dict(zip(header.split(","), map(int, row.split(",")), strict=True)) for row in rows]
    with closing(sqlite3.connect(project / "out.db")) as base:
        return [dict(zip(("n", "a"), row, strict=True)) for row in base.execute("SELECT n, a FROM t")]


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_all_that_fits_is_written_and_nothing_else(project, sink, workers, seed):
    given = records(seed)
    project.plugin(STAGES)
    project.write("given.json", json.dumps(given))
    stage = {"use": "made", "workers": workers, "with": {"dies": 40 if seed == 2 else -1}}
    summary = project.execute(
        stage,
        source={"use": "range", "with": {"stop": 200}},
        sink=SINKS[sink] | {"on_error": "dead_letter"},
        dead_letter="failed.jsonl",
        run={"frame": 1 if seed == 1 else 5},
    )
    fitting = [record for record in given if record.keys() == {"n", "a"}]
    others = [record for record in given if record.keys() != {"n", "a"}]
    assert content(project, sink) == fitting
    letters = [json.loads(line) for line in (project / "failed.jsonl").read_text().splitlines()]
    assert [letter["record"] for letter in letters] == others
    assert (summary.records["in"], summary.records["out"], summary.records["dead"]) == (200, len(fitting), len(others))


def test_with_fail_everything_before_is_written(project):
    project.write("in.jsonl", '{"n": 1}\n{"n": 2}\n{"b": 3}\n{"n": 4}\n')
    project.config(source="in.jsonl", sink="out.csv")
    done = project.cli("run", "chain.yaml", "-q")
    assert done.returncode == 1
    assert b"there is no column for 'b'" in done.stderr
    assert (project / "out.csv.partial").read_text() == "n\n1\n2\n"


def test_standard_output_has_columns_too(project):
    project.write("in.jsonl", '{"n": 1}\n{"b": 3}\n{"n": 4}\n')
    project.config(source="in.jsonl", sink={"use": "csv", "with": {"path": "-"}, "on_error": "skip"})
    assert project.cli("run", "chain.yaml", "-q").stdout == b"n\n1\n4\n"


def test_a_record_that_is_no_row_gives_no_columns(project):
    project.write("in.jsonl", '[1]\n{"a": {"x": null}, "c": 1}\n{"n": 1}\n{"c": 1, "a": 2}\n')
    project.config(source="in.jsonl", sink={"use": "csv", "with": {"path": "-"}, "on_error": "skip"})
    assert project.cli("run", "chain.yaml", "-q").stdout == b'a,c\n"{""x"":null}",1\n2,1\n'
