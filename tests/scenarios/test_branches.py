"""Several sinks at the end of a chain: a tee, a switch, and what each of them counts."""

from __future__ import annotations

import json
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from stagerunner.errors import ConfigError

ROWS = """
    @stage
    def row(n: int) -> dict:
        return {"n": n, "odd": n % 2 == 1}

    @stage
    def odd_one(n: int):
        return {"n": n, "what": {1, 2} if n == 5 else n}
"""
REPRS = """
    @sink("reprs")
    class Reprs:
        keeps = "nothing"
        def __init__(self, *, path: str): self.path = path
        def encode(self, records): return "".join(f"{record!r}\\n" for record in records).encode()
        def open(self, position): self.file = open(self.path, "wb")
        def write(self, data): self.file.write(data)
        def position(self): return None
        def commit(self, row): self.file.flush()
        def finish(self): self.file.close()
        abort = finish
"""
SOURCE = {"use": "range", "with": {"stop": 300}}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def jsonl(project, name, **more):
    return {"use": "jsonl", "name": name, "with": {"path": str(project / f"{name}.jsonl")}, **more}


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("workers", [1, 2])
def test_each_sink_gets_every_record_that_it_wants_in_order(project, engine, workers):
    project.plugin(ROWS)
    sinks = [jsonl(project, "all"), jsonl(project, "odd", when="odd"), jsonl(project, "even", when="not odd")]

    summary = project.execute(
        {"use": "row", "workers": workers}, source=SOURCE, sinks=sinks, run={"engine": engine, "frame": 7}
    )

    assert [row["n"] for row in lines(project / "all.jsonl")] == list(range(300))
    assert [row["n"] for row in lines(project / "odd.jsonl")] == list(range(1, 300, 2))
    assert [row["n"] for row in lines(project / "even.jsonl")] == list(range(0, 300, 2))
    counted = [(sink.name, sink.taken, sink.written, sink.passed) for sink in summary.sinks]
    assert counted == [("all", 300, 300, 0), ("odd", 300, 150, 150), ("even", 300, 150, 150)]
    assert (summary.records["in"], summary.records["out"], summary.records["filtered"]) == (300, 300, 0)


def test_one_sink_with_a_condition_is_asked_too(project):
    project.plugin(ROWS)
    summary = project.execute("row", source=SOURCE, sink=jsonl(project, "late", when="n > 297"))

    assert [row["n"] for row in lines(project / "late.jsonl")] == [298, 299]
    assert [(sink.written, sink.passed) for sink in summary.sinks] == [(2, 298)]


def test_a_record_that_one_sink_refuses_is_its_failure_and_the_others_get_it(project):
    project.plugin(REPRS + ROWS)
    sinks = [
        jsonl(project, "json", on_error="dead_letter"),
        {"use": "reprs", "name": "reprs", "with": {"path": str(project / "reprs")}},
        jsonl(project, "skips", on_error="skip", when="n < 9"),
    ]

    summary = project.execute("odd_one", source=SOURCE, sinks=sinks, dead_letter=str(project / "failed.jsonl"))

    assert len(lines(project / "json.jsonl")) == 299
    assert len((project / "reprs").read_text().splitlines()) == 300
    assert [row["n"] for row in lines(project / "skips.jsonl")] == [0, 1, 2, 3, 4, 6, 7, 8]
    (letter,) = lines(project / "failed.jsonl")
    assert (letter["stage"], letter["origin"]["number"]) == ("json", 5)
    assert [(s.written, s.passed, s.skipped, s.dead) for s in summary.sinks] == [
        (299, 0, 0, 1),
        (300, 0, 0, 0),
        (8, 291, 1, 0),
    ]
    assert (summary.exit_code, summary.records["out"], summary.letters) == (0, 300, 1)


@pytest.mark.parametrize("frame", [1, 4, 300])
def test_a_failure_of_one_sink_that_ends_the_run_ends_it_for_all_of_them(project, frame):
    project.plugin(ROWS)
    sinks = [jsonl(project, "others", when="n != 5"), jsonl(project, "json")]
    project.config("odd_one", source=SOURCE, sinks=sinks, run={"frame": frame})

    ended = project.cli("run", "chain.yaml", "--summary", "summary.json")
    told = json.loads((project / "summary.json").read_text())

    assert ended.returncode == 1, ended.stderr
    assert b"json failed" in ended.stderr
    assert len(lines(project / "others.jsonl.partial")) == 5
    assert len(lines(project / "json.jsonl.partial")) == 5
    assert (told["records"]["in"], told["records"]["out"], told["records"]["not_processed"]) == (6, 5, 1)


def test_a_switch_into_two_kinds_of_sinks(project):
    project.plugin(ROWS)
    table = {"use": "sqlite", "name": "table", "when": "odd", "with": {"path": str(project / "o.db"), "table": "t"}}
    sinks = [jsonl(project, "even", when="not odd"), table]

    project.execute({"use": "row", "workers": 2}, source=SOURCE, sinks=sinks)

    with closing(sqlite3.connect(project / "o.db")) as base:
        found = base.execute("SELECT n FROM t ORDER BY rowid").fetchall()
    assert [n for (n,) in found] == list(range(1, 300, 2))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"sink": "a.jsonl", "sinks": ["b.jsonl"]}, "`sink:` is there too"),
        ({"sinks": []}, "sinks is empty"),
        ({"sinks": "a.jsonl"}, "sinks must be a list"),
        ({"sinks": [{"use": "a.jsonl", "name": "same"}]}, "a stage and a sink are called 'same'"),
        ({"sinks": ["a.jsonl", "./a.jsonl"]}, "both write to"),
        ({"sinks": ["stdout", "-"]}, "both write to standard output"),
        ({"sinks": ["o/{a}.jsonl", "o/{b}.jsonl"]}, "their paths differ in nothing but fields"),
        ({"sinks": [{"use": "a.jsonl", "when": "n <"}]}, "when is not a condition"),
        ({"source": {"use": "range", "when": "n"}}, "has no effect on a source"),
    ],
)
def test_mistakes_in_the_plan(project, keys, said):
    with pytest.raises(ConfigError, match=said):
        project.plan({"use": "same", "name": "same"}, **keys)


def test_o_says_what_to_do_instead_and_set_reaches_a_sink_by_its_name(project):
    project.plugin(ROWS)
    project.config("row", source=SOURCE, sinks=["a.jsonl", jsonl(project, "b")])

    refused = project.cli("run", "chain.yaml", "-o", "x.jsonl")
    changed = project.cli("run", "chain.yaml", "--set", "sinks.b.when=n == 7", "-q")

    assert refused.returncode == 2
    assert b"--set sinks.NAME" in refused.stderr
    assert (changed.returncode, lines(project / "b.jsonl")) == (0, [{"n": 7, "odd": True}])


def test_dead_letters_of_one_sink_come_back_to_that_sink_only(project):
    project.plugin(ROWS)
    a, b = jsonl(project, "a"), jsonl(project, "b", when="n < 3 / zero", on_error="dead_letter")
    letters = {"dead_letter": str(project / "failed.jsonl")}
    stages = [{"use": "set", "with": {"fields": {"zero": "n % 2"}}}]
    project.config("row", *stages, source={"use": "range", "with": {"stop": 6}}, sinks=[a, b], **letters)
    assert project.cli("run", "chain.yaml").returncode == 3
    assert ([row["n"] for row in lines(project / "b.jsonl")], len(lines(project / "a.jsonl"))) == ([1], 6)

    project.config("row", *stages, source=SOURCE, sinks=[a, jsonl(project, "b")], **letters)
    again = project.cli("replay", "failed.jsonl", "-c", "chain.yaml", "--append")

    assert again.returncode == 0, again.stderr
    assert [row["n"] for row in lines(project / "b.jsonl")] == [1, 0, 2, 4]
    assert len(lines(project / "a.jsonl")) == 6


def test_a_record_that_kills_the_worker_at_one_sink_fails_there_and_the_others_get_it(project):
    project.plugin(
        """
    @sink("deadly")
    class Deadly:
        keeps = "nothing"
        pure = True
        def encode(self, records):
            if any(record["n"] == 5 for record in records):
                os._exit(9)
            return b"x" * len(records)
        def open(self, position): self.written = 0
        def write(self, data): self.written += len(data)
        def position(self): return None
        def commit(self, row): pass
        def finish(self): tell("deadly", self.written)
        def abort(self): pass
"""
        + ROWS
    )
    sinks = [jsonl(project, "all"), {"use": "deadly", "on_error": "dead_letter"}, jsonl(project, "late", when="n > 3")]
    source = {"use": "range", "with": {"stop": 9}}

    summary = project.execute("row", source=source, sinks=sinks, dead_letter=str(project / "failed.jsonl"))

    assert [row["n"] for row in lines(project / "all.jsonl")] == list(range(9))
    assert [row["n"] for row in lines(project / "late.jsonl")] == [4, 5, 6, 7, 8]
    assert (project / "deadly").read_text() == "8"
    (letter,) = lines(project / "failed.jsonl")
    assert (letter["stage"], letter["type"], letter["record"]["n"]) == ("deadly", "Killed", 5)
    assert [sink.dead for sink in summary.sinks] == [0, 1, 0]


def test_another_run_into_the_second_output_is_turned_away(project):
    project.plugin(
        ROWS
        + """
    @stage
    def waits(record):
        tell("begun")
        wait_for("go")
        return record
"""
    )
    second = {"use": "sqlite", "name": "table", "with": {"path": str(project / "o.db"), "table": "t"}}
    few = {"use": "range", "with": {"stop": 3}}
    config = project.config("row", "waits", source=few, sinks=[jsonl(project, "all"), second])
    with project.start("run", config.name, "-q") as first:
        while not (project / "begun").exists():
            assert first.poll() is None
        other = project.config("row", source=SOURCE, sink=second).rename(project / "other.yaml")
        refused = project.cli("run", other.name)
        (project / "go").touch()
        assert first.wait(30) == 0

    assert refused.returncode == 73, refused.stderr


def test_a_full_disk_under_one_output_stops_the_run_and_the_others_go_on_with_it(project):
    project.plugin(ROWS)
    source = {"use": "range", "with": {"stop": 3000}}
    large = {"use": "set", "with": {"fields": {"text": "str(n) + '" + "x" * 100 + "'"}}}
    sinks = [jsonl(project, "some", when="n % 100 == 0"), jsonl(project, "all"), jsonl(project, "last", when="odd")]
    project.config("row", large, source=source, sinks=sinks, run={"frame": 50, "checkpoint": "1ms"})

    command = shlex.join([sys.executable, "-m", "stagerunner", "run", "chain.yaml"])
    full = subprocess.run(f"ulimit -f 200; exec {command}", shell=True, cwd=project.folder, capture_output=True)
    again = project.cli("run", "chain.yaml", "--resume")

    assert (full.returncode, again.returncode) == (75, 0), full.stderr + again.stderr
    assert [row["n"] for row in lines(project / "all.jsonl")] == list(range(3000))
    assert [row["n"] for row in lines(project / "some.jsonl")] == list(range(0, 3000, 100))
    assert [row["n"] for row in lines(project / "last.jsonl")] == list(range(1, 3000, 2))
