"""From a database file into a database file: exact rows after any process was killed, and --resume."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from support import needs
from support.project import environment

RUN = {"frame": 7, "checkpoint": "1ms", "window": "4KiB"}
EXPECTED = [(n, f"v{n}v{n}") for n in range(1, 301) if n % 5]
READ = {
    "table": {"table": "t"},
    "query": {"query": "SELECT id, v FROM t ORDER BY id"},
}


@pytest.fixture
def chain(project):
    """Writes the chain from the database of one kind to that of the other."""
    project.plugin("""
        @stage
        def odd(record: dict) -> dict | None:
            if record["id"] == 150 and (Path(__file__).parent / "deadly").exists() and once("died"):
                os.kill(os.getpid(), signal.SIGKILL)
            return {"id": record["id"], "v": record["v"] * 2} if record["id"] % 5 else None
    """)
    duckdb = needs.module("duckdb", "stagerunner[duckdb]")
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300)"

    def connected(kind: str, name: str) -> Any:
        return closing((duckdb if kind == "duckdb" else sqlite3).connect(str(project / name)))

    def write(source: str, how: str, sink: str) -> None:
        with connected(source, "in.db") as base:
            base.execute("CREATE TABLE t (id INTEGER, v VARCHAR)")
            base.execute(f"INSERT INTO t {numbers} SELECT n, 'v' || n FROM numbers")
            base.commit() if source == "sqlite" else None
        ends = {
            "source": {"use": "sql", "with": {"path": "in.db", **READ[how]}},
            "sink": {"use": sink, "with": {"path": "out.db", "table": "t"}},
        }
        project.config({"use": "odd", "workers": 2}, run=RUN, **ends)

    def read(sink: str) -> list[tuple[int, str]]:
        with connected(sink, "out.db") as base:
            return base.execute("SELECT id, v FROM t ORDER BY rowid").fetchall()

    write.read = read
    return write


@pytest.mark.parametrize(
    ("source", "how", "sink", "point"),
    [
        ("sqlite", "table", "duckdb", "sink written:3"),
        ("sqlite", "query", "duckdb", "finishing:1"),
        ("duckdb", "table", "sqlite", "commit:4"),
        ("duckdb", "query", "duckdb", "rename:1"),
    ],
)
def test_the_parent_is_killed_and_resumed(project, chain, source, how, sink, point):
    chain(source, how, sink)
    done = project.cli("run", "chain.yaml", env={**environment(), "STAGERUNNER_KILL_AT": point})
    assert done.returncode == -9, done.stderr
    done = project.cli("run", "chain.yaml", "--resume")
    assert done.returncode == 0, done.stderr
    assert chain.read(sink) == EXPECTED


def test_a_worker_is_killed(project, chain):
    chain("sqlite", "query", "duckdb")
    project.write("deadly", "")
    done = project.cli("run", "chain.yaml")
    assert done.returncode == 0, done.stderr
    assert (project / "died").exists()
    assert chain.read("duckdb") == EXPECTED


def test_a_database_that_was_changed_is_not_resumed(project, chain):
    chain("sqlite", "table", "sqlite")
    done = project.cli("run", "chain.yaml", env={**os.environ, "STAGERUNNER_KILL_AT": "commit:4"})
    assert done.returncode == -9
    with closing(sqlite3.connect(project / "in.db", isolation_level=None)) as base:
        base.execute("INSERT INTO t VALUES (301, 'late')")
    done = project.cli("run", "chain.yaml", "--resume")
    assert done.returncode == 2
    assert b"source.identity" in done.stderr
