"""Several sinks survive kill -9 of the run at a named point, again during the resume, and agree at the end.

Two tables are never committed in one instant: killed between them, the first has results that are made again.
"""

from __future__ import annotations

import gzip
import os
import sqlite3

import pytest
from support.project import Project

PLUGIN = """
    @stage
    def row(n: int):
        if n % 7 == 6:
            raise Reject("a seventh")
        for part in range(n % 3):
            time.sleep(0.0002)
            yield {"n": n, "part": part}

    @stage
    class Numbered:
        def __init__(self): self.number = 0
        def process(self, record: dict) -> dict:
            self.number += 1
            return {**record, "number": self.number}
        def flush(self):
            for last in range(3):
                yield {"n": -1, "part": last % 2, "number": self.number}
        def snapshot(self): return self.number
        def restore(self, snapshot): self.number = snapshot
"""
PLAIN = [{"use": "row", "workers": 2, "on_error": "dead_letter"}]
STATE = [*PLAIN, {"use": "./parts.py:Numbered", "name": "numbered"}]
RUN = {"frame": 3, "checkpoint": "1ms", "window": "2KiB"}


def file(name, **more):
    return {"use": "jsonl", "name": name, "with": {"path": f"{name}.jsonl.gz" if name == "packed" else name}, **more}


def table(name, **more):
    return {"use": "sqlite", "name": name, "with": {"path": f"{name}.db", "table": "t"}, **more}


BRANCHES = {
    "file+file": [file("all"), file("packed", when="part == 1")],
    "table+table": [table("all"), file("packed"), table("some", when="part == 0"), table("rest", when="part == 1")],
    "files+table": [
        {"use": "jsonl", "name": "many", "with": {"path": "many/{part}/{n}.jsonl"}},
        {"use": "csv", "name": "zipped", "when": "n % 2 == 0", "with": {"path": "zipped-{part}.csv.gz"}},
        table("all"),
    ],
}


def rows(path):
    base = sqlite3.connect(path)
    try:
        return base.execute("SELECT * FROM t ORDER BY rowid").fetchall()
    finally:
        base.close()


def outputs(folder):
    """What each sink has, and the dead letters."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if name.endswith(".db"):
            found[name] = rows(path)
        elif name.endswith(".gz"):
            found[name] = gzip.decompress(path.read_bytes())
        elif not path.name.startswith(".") and not name.startswith(("parts", "chain", "__", "died")):
            found[name] = path.read_text().replace(str(folder), "")
    return found


@pytest.fixture
def chain(project):
    def write(branch, stages, **run):
        project.plugin(PLUGIN)
        source = {"use": "range", "with": {"stop": 120}}
        project.config(*stages, source=source, sinks=BRANCHES[branch], dead_letter="failed.jsonl", run=RUN | run)
        return project

    return write


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    kept = {}

    def of(branch, stages):
        if (branch, len(stages)) not in kept:
            project = Project(tmp_path_factory.mktemp("whole"))
            project.plugin(PLUGIN)
            source = {"use": "range", "with": {"stop": 120}}
            keys = {"source": source, "sinks": BRANCHES[branch], "dead_letter": "failed.jsonl"}
            project.config(*stages, **keys, run={"engine": "inline"})
            assert project.cli("run", "chain.yaml").returncode == 3
            kept[branch, len(stages)] = outputs(project.folder)
        return kept[branch, len(stages)]

    return of


def lives(project, points):
    """Lives that die at these points, one after another, and a last one. Whether each died as planned."""
    died = []
    for number, point in enumerate(points):
        log = project / f"died-{number}"
        kill = {"STAGERUNNER_KILL_AT": point, "STAGERUNNER_KILL_LOG": str(log)}
        ended = project.cli("run", "chain.yaml", *["--resume"][: bool(number)], env=os.environ | kill)
        died.append(log.exists() and ended.returncode == -9)
    ended = project.cli("run", "chain.yaml", "--resume")
    assert ended.returncode == 3, ended.stderr
    return died


@pytest.mark.parametrize(
    ("branch", "stages", "points"),
    [
        ("file+file", PLAIN, ["sink written:2", "accept:4"]),
        ("file+file", PLAIN, ["one of several"]),
        ("files+table", PLAIN, ["sink written:2", "accept:4", "sink written:1"]),
        ("files+table", STATE, ["accept:20", "finishing"]),
        ("table+table", PLAIN, ["one of two:4", "one of two:1", "accept:2", "one of two:2"]),
        ("table+table", STATE, ["one of two:3", "one of two:2", "one of two:1"]),
    ],
)
def test_all_sinks_are_exact_after_every_death(chain, expected, branch, stages, points):
    project = chain(branch, stages)

    assert all(lives(project, points))

    assert outputs(project.folder) == expected(branch, stages)


def test_killed_between_the_last_commits_the_first_tables_are_complete_and_skip_all(chain, expected):
    """Without checkpoints there are two commits of three tables: at the beginning, and at the end."""
    project = chain("table+table", STATE, checkpoint="1h")

    assert all(lives(project, ["one of two:3", "one of two:2", "one of two:1"]))

    assert outputs(project.folder) == expected("table+table", STATE)
