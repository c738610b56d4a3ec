"""Resumable streams: a resume goes on behind the last mark that was committed, and the output is that of one run."""

from __future__ import annotations

import itertools
import json
import signal
import sqlite3
from contextlib import closing

import pytest
from support.leaks import needs_proc
from support.numbered import PARTS
from support.waiting import wait_until

pytestmark = needs_proc

COUNT = 3000

OWN = """
from stagerunner import Mark

MOMENTS = (500, 2200)

def numbers(after, stop, every):
    for number in range(after or 0, stop):
        yield {"n": number}
        if every and (number + 1) % every == 0:
            yield Mark(number + 1)

@source
class Topic:
    def __init__(self, *, stop: int = 3000, every: int = 7, stays: bool = False):
        self.stop, self.every, self.stays = stop, every, stays
    def read(self, after):
        tell("after", after)
        yield from numbers(after, self.stop, self.every)
        while self.stays:
            time.sleep(1)

@source
class Failing:
    def __init__(self, *, how: str = "raise"):
        self.how = how
    def read(self, after):
        again = not once("broke")
        yield from numbers(after, 3000 if again else 1000, 7)
        if not again:
            os._exit(3) if self.how == "exit" else int("x")

@stage
def deadly(record):
    if record["n"] in (3, 1500, 2999) and once(f"died {record['n']}"):
        os.kill(os.getpid(), signal.SIGKILL)
    return record

@stage
def late(record):
    if record["n"] == 2000 and once("late"):
        raise ValueError("not yet")
    return record
"""

FUSSY = {"use": "fussy", "on_error": "dead_letter"}
SINKS = {
    "jsonl": {"use": "jsonl", "with": {"path": "out"}},
    "sqlite": {"use": "sqlite", "with": {"path": "out", "table": "t"}},
}


def content(project, sink="jsonl"):
    """The records of the output, and those of the dead letters."""
    lines = (project / "failed").read_text().splitlines() if (project / "failed").exists() else []
    letters = [json.loads(line)["record"]["n"] for line in lines]
    if sink == "sqlite":
        with closing(sqlite3.connect(project / "out")) as database, database:
            return [{"n": n} for (n,) in database.execute("SELECT n FROM t")], letters
    return [json.loads(line) for line in (project / "out").read_text().splitlines()], letters


def undisturbed(*stages):
    """The records that the chain gives if nothing happens, and those that become dead letters."""
    numbers = [n for n in range(COUNT) if n % 97 != 5 or FUSSY not in stages]
    total = list(itertools.accumulate(range(COUNT)))
    records = [{"n": n, "sum": total[n]} if "sum" in stages else {"n": n} for n in numbers]
    flushed = [{"n": -1, "text": "", "sum": total[-1]}] if "sum" in stages else []
    return records + flushed, [n for n in range(COUNT) if n not in set(numbers)]


def configured(project, *stages, sink="jsonl", source="topic", **run):
    project.plugin(OWN + PARTS)
    run = {"checkpoint": "5ms"} | run
    project.config(*stages, source=source, sink=SINKS[sink], dead_letter="failed", run=run)


@pytest.mark.parametrize(
    ("stages", "sink"),
    [(("fatal", FUSSY, "deadly"), "jsonl"), (("fatal", FUSSY), "sqlite"), (("sum", "fatal", FUSSY), "jsonl")],
)
def test_a_resume_after_the_parents_death_gives_what_one_run_gives(project, stages, sink):
    configured(project, *stages, sink=sink)

    lives = 1
    while (code := project.cli("run", "chain.yaml", "--resume", "--allow-dead-letters").returncode) != 0:
        assert code == -signal.SIGKILL
        lives += 1

    assert lives > 1
    assert int((project / "after").read_text()) % 7 == 0  # it went on behind a mark, not at the start
    assert content(project, sink) == undisturbed(*stages)


@pytest.mark.parametrize("how", ["raise", "exit"])
def test_a_source_that_fails_can_be_resumed_behind_its_last_mark(project, how):
    configured(project, "same", source={"use": "failing", "with": {"how": how}})

    failed = project.cli("run", "chain.yaml")
    again = project.cli("run", "chain.yaml", "--resume", "--progress", "none")

    assert (failed.returncode, again.returncode) == (1, 0)
    assert content(project) == undisturbed()


def test_a_failure_of_a_stage_leaves_the_run_resumable_from_a_mark(project):
    configured(project, "late")

    assert project.cli("run", "chain.yaml").returncode == 1
    assert project.cli("run", "chain.yaml", "--resume").returncode == 0

    assert content(project) == undisturbed()


@pytest.mark.parametrize(("every", "said"), [(1, b"--resume goes on from there"), (0, b"reads again the 3000 records")])
def test_a_halt_commits_up_to_the_last_mark_and_says_what_is_read_again(project, every, said):
    configured(project, "same", source={"use": "topic", "with": {"every": every, "stays": True}})
    with project.start("run", "chain.yaml", "--progress", "plain") as process:
        wait_until(lambda: (project / "out.partial").exists() and complete(project / "out.partial"))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert said in told
    (project / "after").unlink()
    with project.start("run", "chain.yaml", "--resume") as process:
        wait_until((project / "after").exists)
        process.send_signal(signal.SIGINT)
    assert (project / "after").read_text() == ("3000" if every else "None")


def complete(path):
    return path.read_bytes().endswith(b'{"n":2999}\n')


def test_a_log_is_followed_over_a_stop_and_a_rotation(project):
    project.plugin("")
    project.config(
        "same", source={"use": "tail", "with": {"path": "app.log"}}, sink={"use": "lines", "with": {"path": "out"}}
    )
    log, out = project / "app.log", project / "out.partial"
    for text in ("one\ntwo\nthr", "ee\nfour\n"):
        with log.open("a") as file:
            file.write(text)
        if "four" in text:
            log.rename(project / "app.log.1")
            log.write_text("five\n")
        with project.start("run", "chain.yaml", "--resume", "--progress", "none") as process:
            wait_until(lambda: out.exists() and out.read_text().endswith("two\n" if "one" in text else "five\n"))
            process.send_signal(signal.SIGINT)
        assert process.returncode == 130

    assert out.read_text() == "one\ntwo\nthree\nfour\nfive\n"
