"""No command shows a secret, in whatever output: mistakes, failures, counters, prints, summaries, the journal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

SECRET = "S3'c\"r\\et/hunter2 é"
TELLING = ("hunter2", "S3'c")

PLUGIN = """
import logging, sys, warnings
from stagerunner import Reject, count, source, stage

@source
class Database:
    def __init__(self, *, dsn: str): self.dsn = dsn
    def check(self): raise ValueError(f"can't log in with {self.dsn!r}")
    def identity(self): return 1
    def splits(self, after, want): return iter(())
    def read(self, split): return iter(())

@stage
def telling(record, *, key: str):
    count(key)
    count("calls")
    print("printed", key, repr(key))
    print("told", [key], file=sys.stderr)
    logging.getLogger("x").warning("logged %r", key)
    raise Reject(f"refused: {key!r}")

@stage
def failing(record, *, key: str):
    raise ValueError({"password": key})

@stage
class Unready:
    def __init__(self, *, key: str): self.key = key
    def setup(self): raise RuntimeError(f"no access with {self.key!r}")
    def process(self, record): return record

@stage
class Unclosable:
    def __init__(self, *, key: str): self.key = key
    def process(self, record): return record
    def close(self): raise RuntimeError(f"no farewell with {self.key!r}")
"""


@pytest.fixture
def said(write, call, monkeypatch):
    """Run a command on a chain with this stage; all it wrote anywhere, checked to hold no secret."""
    write("secret_parts.py", PLUGIN)
    folder = write("in.txt", "a\nb\n").parent
    monkeypatch.setenv("KEY", SECRET)

    def said(*command: str, stages: str = "[]", **keys: str) -> str:
        told = {"source": "in.txt", "stages": stages, "sink": "out.jsonl", "plugins": "[./secret_parts.py]", **keys}
        write("chain.yaml", "\n".join(["version: 1", *(f"{key}: {value}" for key, value in told.items())]) + "\n")
        done = call(*command[:1], "chain.yaml", *command[1:])
        written = [path.read_text(errors="replace") for path in folder.glob("*.json*")]
        everything = "\n".join([done.stdout, done.stderr, *written, *_journals(folder)])
        assert [word for word in TELLING if word in everything] == []
        return everything

    return said


def _journals(folder: Path) -> list[str]:
    """What stands in the journals."""
    lines = []
    for path in folder.glob(".*.stagerunner"):
        with closing(sqlite3.connect(path)) as database, database:
            lines += database.iterdump()
        database.close()
    return lines


def stage(name: str, **settings: str) -> str:
    more = "".join(f", {key}: {value}" for key, value in settings.items())
    return f'[{{use: {name}, with: {{key: "${{secret:KEY}}"}}{more}}}]'


def test_the_check_of_a_part(said):
    told = said("run", source='{use: database, with: {dsn: "${secret:KEY}"}}')
    assert "can't log in with '***'" in told


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_the_check_of_a_part_in_every_form_of_check(said, form):
    assert "can't log in with" in said(
        "check", "--format", form, source='{use: database, with: {dsn: "${secret:KEY}"}}'
    )


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_what_a_stage_counts_prints_and_refuses(said, engine):
    stages = stage("telling", on_error="dead_letter")
    told = said("run", "-v", "--engine", engine, "--summary", "summary.json", stages=stages, dead_letter="failed.jsonl")
    summary = json.loads(Path("summary.json").read_text())
    assert summary["stages"][0]["counters"] == {"***": 2, "calls": 2}
    assert "printed *** " in told
    assert "told ['***']" in told
    assert "logged '***'" in told
    assert "refused: '***'" in told


def test_events_as_json(said):
    told = said("run", "--log-format", "json", "--progress", "json", stages=stage("telling", on_error="skip"))
    assert '"message": "refused: \'***\'"' in told


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_the_failure_that_ends_a_run(said, engine):
    assert "failing failed: ValueError: {'password': '***'}" in said("run", "--engine", engine, stages=stage("failing"))


@pytest.mark.parametrize("name", ["unready", "unclosable"])
def test_what_setup_and_close_say(said, name):
    assert "'***'" in said("run", stages=stage(name))


def test_a_sample_and_what_stages_print_in_it(said):
    told = said("show", "--sample", "2", stages=stage("telling"))
    assert "printed *** " in told
    assert "told ['***']" in told


@pytest.mark.parametrize("command", [("show",), ("show", "--json"), ("show", "--graph"), ("run", "--dry-run")])
def test_the_chain_as_it_is_shown(said, command):
    assert "telling" in said(*command, stages=stage("telling"))


def test_a_secret_that_is_not_a_number(said):
    assert "must be" in said("run", stages='[{use: take, with: {n: "${secret:KEY}"}}]')
    assert "must be" in said("run", stages='[{use: text.strip, workers: "${secret:KEY}"}]')


def test_a_secret_that_is_part_of_a_path(said):
    assert "***" in said("run", source='"missing/${secret:KEY}.txt"')
    assert "***" in said("run", sink='"/proc/${secret:KEY}/out.jsonl"')


def test_a_long_secret_that_is_cut_in_a_message(said, monkeypatch):
    monkeypatch.setenv("LONG", "hunter2-" * 20 + "x")
    assert "***…" in said(
        "run", stages='[{use: text.strip, name: "${secret:LONG}"}, {use: text.strip, name: "${secret:LONG}"}]'
    )


def test_a_plugin_that_prints_and_fails_when_it_is_imported(said, write):
    lines = ["import os, sys", *(f"print(os.environ['KEY'], file=sys.{to})" for to in ("stdout", "stderr"))]
    write("loud.py", "\n".join([*lines, "raise OSError(os.environ['KEY'])"]) + "\n")
    told = said("run", plugins="[./loud.py]", description='"${secret:KEY}"')
    assert told.count("***") >= 3
