"""A row that only the database can refuse is a failure of its record, where the sink's `on_error` says so."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

import pytest
from support import needs

PLUGIN = """
    @stage
    def row(n: int):
        for part in range(n % 4):
            time.sleep(0.0002)
            yield {"id": n // 3 if n % 10 == 9 else 1000 * n + part, "n": n}
"""
SOURCE = {"use": "range", "with": {"stop": 120}}
RUN = {"frame": 3, "checkpoint": "1ms", "window": "2KiB"}
MADE = [
    {"id": n // 3 if n % 10 == 9 else 1000 * n + part, "n": n, "part": part}
    for n in range(120)
    for part in range(n % 4)
]
BASES = {"all": "n != 33", "some": "n % 5 != 1"}
"""For each database what its table demands of a row, besides that its `id` is new."""


def table(name, on_error="dead_letter", use="sqlite", **more):
    options = {"path": f"{name}.db", "table": "t", "mode": "append", "missing": "fill"}
    return {"use": use, "name": name, "on_error": on_error, "with": options, **more}


def split(records, name):
    """The records that the table takes, and those that it refuses, in order."""
    taken, refused, keys = [], [], set()
    for record in records:
        fits = record["id"] not in keys and eval(BASES[name], {"n": record["n"]})
        (taken if fits else refused).append((record["id"], record["n"]))
        keys.add(record["id"]) if fits else None
    return taken, refused


def rows(project, name):
    with closing(sqlite3.connect(project / f"{name}.db")) as base:
        return base.execute("SELECT id, n FROM t ORDER BY rowid_").fetchall()


def letters(project):
    path = project / "failed.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(one["stage"], one["record"]["id"], one["record"]["n"], one["origin"]["number"]) for one in found]


@pytest.fixture
def chain(project):
    def write(*sinks, **run):
        project.plugin(PLUGIN)
        for name, check in BASES.items():
            with closing(sqlite3.connect(project / f"{name}.db")) as base:
                columns = f"id INTEGER UNIQUE, n INTEGER CHECK ({check}), rowid_ INTEGER PRIMARY KEY"
                base.execute(f"CREATE TABLE t ({columns})")
        ends = {"sink": sinks[0]} if len(sinks) == 1 else {"sinks": list(sinks)}
        stage = {"use": "row", "workers": 2}
        project.config(stage, source=SOURCE, dead_letter="failed.jsonl", run=RUN | run, **ends)
        return project

    return write


def lives(project, points, code):
    """Lives that die at these points, and a last one; its summary."""
    for number, point in enumerate(points):
        ended = project.cli(
            "run", "chain.yaml", *["--resume"][: bool(number)], env=os.environ | {"STAGERUNNER_KILL_AT": point}
        )
        assert ended.returncode == -9, (point, ended.stderr)
    ended = project.cli("run", "chain.yaml", *["--resume"][: bool(points)], "--summary", "summary.json")
    assert ended.returncode == code, ended.stderr
    return json.loads((project / "summary.json").read_text())


@pytest.mark.parametrize("run", [{}, {"engine": "inline", "frame": 40}])
def test_refused_rows_are_dead_letters_and_all_others_are_written(chain, run):
    project = chain(table("all"), **run)

    summary = lives(project, [], 3)

    taken, refused = split(MADE, "all")
    assert rows(project, "all") == taken
    assert letters(project) == [("sink", id, n, n) for id, n in refused]
    assert (summary["records"]["out"], summary["records"]["dead"]) == (len(taken), len(refused))


def test_skipped_rows_are_counted(chain):
    summary = lives(chain(table("all", "skip")), [], 0)

    assert summary["records"]["skipped"] == len(split(MADE, "all")[1])


def test_with_fail_the_first_refused_row_ends_the_run(chain):
    ended = chain(table("some", "fail")).cli("run", "chain.yaml")

    assert ended.returncode == 1
    assert b"CHECK constraint failed" in ended.stderr


@pytest.mark.parametrize("points", [["accept:20", "sink written:3"], ["finishing"]])
def test_refused_rows_of_one_table_are_exact_after_every_death(chain, points):
    project = chain(table("all"))

    summary = lives(project, points, 3)

    taken, refused = split(MADE, "all")
    assert rows(project, "all") == taken
    assert letters(project) == [("sink", id, n, n) for id, n in refused]
    assert (summary["records"]["out"], summary["records"]["dead"]) == (len(taken), len(refused))


def test_refused_rows_of_duckdb_are_exact_after_every_death(chain):
    """One transaction has many frames with refused rows, each of which ends the transaction."""
    duckdb = needs.module("duckdb", "stagerunner[duckdb]")
    project = chain(table("all", use="duckdb"), checkpoint="20ms", frame=10)
    (project / "all.db").unlink()
    with duckdb.connect(str(project / "all.db")) as base:
        base.execute(f"CREATE TABLE t (id INT UNIQUE, n INT CHECK ({BASES['all']}))")

    summary = lives(project, ["accept:9", "sink written:2"], 3)

    taken, refused = split(MADE, "all")
    with duckdb.connect(str(project / "all.db"), read_only=True) as base:
        assert base.execute("SELECT id, n FROM t ORDER BY rowid").fetchall() == taken
    assert letters(project) == [("sink", id, n, n) for id, n in refused]
    assert (summary["records"]["out"], summary["records"]["dead"]) == (len(taken), len(refused))


@pytest.mark.parametrize(
    ("points", "run"),
    [
        (["one of two:4", "one of two:1", "accept:2", "one of two:2"], {}),
        (["one of two:2", "accept:9", "one of two:1"], {"checkpoint": "1h"}),
    ],
)
def test_two_tables_agree_after_every_death_and_each_refusal_is_laid_once(chain, points, run):
    """A table that is ahead has refused rows that a resumed run makes again, and skips them."""
    project = chain(table("all"), table("some", when="n % 3 > 0"), **run)

    summary = lives(project, points, 3)

    wanted = {"all": MADE, "some": [record for record in MADE if record["n"] % 3 > 0]}
    dead = [(name, id, n, n) for name in wanted for id, n in split(wanted[name], name)[1]]
    assert {name: rows(project, name) for name in wanted} == {name: split(wanted[name], name)[0] for name in wanted}
    assert sorted(letters(project)) == sorted(dead)
    assert [(s["written"], s["dead"]) for s in summary["sinks"]] == [
        tuple(map(len, split(records, name))) for name, records in wanted.items()
    ]
