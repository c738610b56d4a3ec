"""The parent is killed at any moment; `--resume` goes on, and the output is that of a run without faults."""

from __future__ import annotations

import gzip
import os
import random
import signal
import sqlite3
import subprocess
import sys

import pytest
from support.compressed import zstd
from support.leaks import needs_proc
from support.numbered import PARTS
from support.waiting import wait_until

pytestmark = needs_proc

COUNT = 4000
ROUNDS = 3

SINKS = {
    "lines": {"use": "lines", "with": {"path": "out"}},
    "jsonl": {"use": "jsonl", "with": {"path": "out"}},
    "csv": {"use": "csv", "with": {"path": "out"}},
    "gz": {"use": "jsonl", "with": {"path": "out.gz"}},
    "zst": {"use": "jsonl", "with": {"path": "out.zst"}},
    "append": {"use": "jsonl", "with": {"path": "out", "mode": "append"}},
    "sqlite": {"use": "sqlite", "with": {"path": "out.db", "table": "t"}},
}


def content(project, sink: str):
    """What the sink has written, compression and the like aside."""
    if sink == "gz":
        return gzip.decompress((project / "out.gz").read_bytes())
    if sink == "zst":
        with zstd().open(project / "out.zst") as file:
            return file.read()
    if sink == "sqlite":
        base = sqlite3.connect(project / "out.db")
        rows = base.execute("SELECT * FROM t").fetchall()
        base.close()
        return rows
    return (project / "out").read_bytes()


def written(project, sink: str, stages: list, moments=(), **run) -> None:
    """Project files: a JSONL source of so many records, these stages, this sink."""
    if sink == "zst":
        zstd()  # skips if it isn't installed
    project.plugin(f"MOMENTS = {tuple(moments)!r}\n" + PARTS)
    project.write("in.jsonl", "".join(f'{{"n":{n},"text":"{"x" * (n % 50)}"}}\n' for n in range(COUNT)))
    run = {"frame": 37, "checkpoint": "1ms", **run}
    project.config(*stages, source="in.jsonl", sink=SINKS[sink], dead_letter="letters.jsonl", run=run)
    if sink == "append":
        project.write("out", "what was there\n")


def faultless(project, sink: str, stages: list):
    """What a run without faults gives, and its dead letters; the files are gone afterwards."""
    written(project, sink, stages)
    assert project.cli("run", "chain.yaml", "-q", "--allow-dead-letters").returncode == 0
    found = content(project, sink), (project / "letters.jsonl").read_bytes()
    for path in project.folder.glob("*out*"):
        path.unlink()
    return found


def unfinished(project, *stages: str, sink: str = "jsonl") -> None:
    """A run that was killed when some of its output was there, and the journal said so."""
    written(project, sink, list(stages), window="16KB")
    killed(project, "commit:2")


def killed(project, point: str, *arguments: str) -> None:
    dead = project.cli("run", "chain.yaml", "-q", *arguments, env=os.environ | {"STAGERUNNER_KILL_AT": point})
    assert dead.returncode == -signal.SIGKILL


def survived(project, *arguments: str, **more) -> int:
    """Run until it isn't killed any more; how often it was."""
    for kills in range(20):
        done = project.cli("run", "chain.yaml", "-q", "--allow-dead-letters", *arguments, **more)
        if done.returncode != -signal.SIGKILL:
            assert (done.returncode, done.stderr) == (0, b"")
            return kills
        arguments = ("--resume",)
        more = {}
    raise AssertionError("killed forever")


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("state", [False, True], ids=["without state", "with state"])
def test_the_parent_killed_at_random_records(project, sink, state):
    stages = [{"use": "fatal", "workers": 2}, {"use": "fussy", "on_error": "dead_letter"}, *(["sum"] if state else [])]
    expected = faultless(project, sink, stages)
    moments = random.Random(f"{sink} {state}").sample(range(COUNT), ROUNDS)
    written(project, sink, stages, moments)

    assert 1 <= survived(project) <= ROUNDS

    assert (content(project, sink), (project / "letters.jsonl").read_bytes()) == expected


@pytest.mark.parametrize("sink", ["jsonl", "sqlite"])
@pytest.mark.parametrize("point", ["accept:7", "deliver:3", "sink written:2", "commit:2", "finishing:1", "rename:1"])
def test_the_parent_killed_where_it_matters(project, sink, point):
    stages = ["same", {"use": "fussy", "on_error": "dead_letter"}, "sum"]
    expected = faultless(project, sink, stages)
    written(project, sink, stages)
    log = project / "log"
    environment = os.environ | {"STAGERUNNER_KILL_AT": point, "STAGERUNNER_KILL_LOG": str(log)}

    kills = survived(project, env=environment)

    assert kills == log.exists()
    assert (content(project, sink), (project / "letters.jsonl").read_bytes()) == expected


def test_a_finished_run_is_not_run_again(project):
    written(project, "jsonl", ["same"])
    assert survived(project) == 0
    before = (project / "out").stat()

    done = project.cli("run", "chain.yaml", "--resume")

    assert done.returncode == 0
    assert b"nothing to do" in done.stderr
    assert (project / "out").stat() == before


def test_other_stages_are_listed_side_by_side_and_refused_by_force_too(project):
    unfinished(project, "fatal", "same")
    run = {"frame": 37, "checkpoint": "1ms"}
    project.config("fatal", "same", "same", source="in.jsonl", sink=SINKS["jsonl"], run=run)

    refused = project.cli("run", "chain.yaml", "--resume")

    assert refused.returncode == 2
    assert b'order: was ["fatal", "same"], is ["fatal", "same", "same-2"]' in refused.stderr
    assert b"--force-resume can't go on either" in refused.stderr
    assert project.cli("run", "chain.yaml", "--force-resume").returncode == 2


def test_two_runs_can_not_own_one_output(project):
    project.plugin("""
        @stage
        def gate(record):
            tell("here")
            wait_for("open")
            return record
    """)
    project.config("gate", source={"use": "range", "with": {"stop": 5}}, sink="out.jsonl")
    (project / "copy.yaml").write_text(
        "version: 1\nsource: {use: range, with: {stop: 9}}\nstages: []\nsink: out.jsonl\n"
    )
    with project.start("run", "chain.yaml") as first:
        wait_until((project / "here").exists)

        second = project.cli("run", "chain.yaml")
        third = project.cli("run", "copy.yaml", "--journal", "other.journal")
        (project / "open").touch()

        assert first.wait(20) == 0
    for busy in (second, third):
        assert busy.returncode == 73
        assert b"another run owns this output" in busy.stderr
    assert (project / "out.jsonl").read_text() == "0\n1\n2\n3\n4\n"


@pytest.mark.parametrize("moment", ["journal:Journal.begin", "runtime.making:Making._make_split_source"])
def test_a_fresh_run_killed_before_its_first_word_leaves_nothing_that_misleads(project, moment):
    """Killed before and after opening the output, over the journal of an unfinished run before it."""
    stages = ["fatal", "same"]
    expected, _ = faultless(project, "jsonl", stages)
    unfinished(project, *stages)
    module, _, called = moment.partition(":")
    code = (
        "import os, signal, sys\n"
        f"from stagerunner.{module} import {called.partition('.')[0]}\n"
        f"{called} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from stagerunner.__main__ import main\n"
        "main(['run', 'chain.yaml', '-q'])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=project.folder).returncode == -signal.SIGKILL

    assert survived(project, "--resume") == 0
    assert content(project, "jsonl") == expected


def test_a_fresh_run_killed_after_its_first_word_can_be_resumed(project):
    stages = ["fatal", "same"]
    expected, _ = faultless(project, "jsonl", stages)
    written(project, "jsonl", stages)
    code = (
        "import os, signal\n"
        "from stagerunner.journal import Journal\n"
        "Journal.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from stagerunner.__main__ import main\n"
        "main(['run', 'chain.yaml', '-q'])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=project.folder).returncode == -signal.SIGKILL

    assert survived(project, "--resume") == 0
    assert content(project, "jsonl") == expected
