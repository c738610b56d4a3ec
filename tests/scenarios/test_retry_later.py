"""A stage that raises `RetryLater`: all its workers pause, and no record is lost by it."""

from __future__ import annotations

import json
import signal
from time import monotonic

import pytest
from support.leaks import needs_proc
from support.waiting import wait_until

from stagerunner.events import RecordFailed

PARTS = """
from stagerunner import RetryLater

def begins(record):
    tell(f"call-{record}-{time.monotonic_ns()}", time.monotonic())

def busy(record):
    "Asks for half a second once, when it is known to be slow."
    if record >= 100 and once("asked"):
        tell("asked-at", time.monotonic())
        raise RetryLater(0.5)
    time.sleep(0.002)
    return record

@stage
def plain(record):
    begins(record)
    return busy(record)

@stage
def many(record):
    begins(record)
    yield busy(record)

@stage.batch
def lists(records):
    begins(records[0])
    return [busy(record) for record in records]

@stage
async def awaited(record):
    begins(record)
    return busy(record)

@stage.batch
async def awaited_lists(records):
    begins(records[0])
    return [busy(record) for record in records]
"""


@pytest.mark.parametrize(
    ("use", "settings"),
    [
        ("plain", {}),
        ("plain", {"rate": "2000/s"}),
        ("many", {}),
        ("lists", {}),
        ("lists", {"batch": {"size": 16, "wait": "100ms"}}),
        ("awaited", {}),
        ("awaited", {"rate": "2000/s", "concurrency": 4}),
        ("awaited_lists", {"batch": 8}),
    ],
)
@pytest.mark.parametrize(("engine", "workers"), [("process", 2), ("inline", 1)])
def test_no_worker_begins_a_call_before_the_pause_is_over(project, use, settings, engine, workers):
    project.plugin(PARTS)
    stage = {"use": use, "workers": workers, "timeout": "400ms", **settings}

    results = project.results(stage, records=range(160), run={"frame": 10}, engine=engine)
    given = list(results)

    assert given == list(range(160))
    assert not project.told(RecordFailed)
    asked = float((project / "asked-at").read_text())
    began = [float(path.read_text()) for path in project.folder.glob("call-*")]
    early = [at - asked for at in began if asked + 0.2 < at < asked + 0.5]
    assert len(early) < 2, "what is about to begin as the pause is asked for may be late on a busy machine; no other is"
    assert max(began) > asked + 0.5
    assert 0.45 < results.summary.stages[0].paused <= 0.5


def test_a_pause_goes_on_over_a_restart(project):
    """The words of the page survive the death of a worker, so the new ones wait as well."""
    project.plugin(
        """
from stagerunner import RetryLater

@stage
def deadly(record):
    if record == 4 and once("asked"):
        wait_for("five")
        tell("asked-at", time.monotonic())
        raise RetryLater(2)
    if record == 5 and once("died"):
        tell("five")
        wait_for("asked-at")
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    tell(f"call-{record}-{time.monotonic_ns()}", time.monotonic())
    time.sleep(0.002)
    return record
"""
    )
    given = list(project.results({"use": "deadly", "workers": 2}, records=range(12), run={"frame": 1}))

    assert given == list(range(12))
    asked = float((project / "asked-at").read_text())
    began = [float(path.read_text()) for path in project.folder.glob("call-*")]
    assert [at - asked for at in began if asked + 0.2 < at < asked + 2] == []


@needs_proc
@pytest.mark.parametrize("use", ["plain", "awaited", "counted"])
def test_a_long_pause_holds_up_no_stop(project, use):
    """The grace is 10 s, the pause a minute: what came before it is committed, and the rest is left to a resume."""
    project.plugin(
        """
from stagerunner import RetryLater

def asked(record):
    if record == 40 and once("asked"):
        raise RetryLater(60)
    return record

@stage
def plain(record):
    return asked(record)

@stage
async def awaited(record):
    return asked(record)

@stage
class Counted:
    "It has state, so what is on its way is never cut."
    def __init__(self):
        self.seen = 0
    def process(self, record):
        found = asked(record)
        self.seen += 1
        return found
    def snapshot(self):
        return self.seen
    def restore(self, data):
        self.seen = data
"""
    )
    source = {"use": "range", "with": {"stop": 100}}
    chain = project.config("same", use, source=source, sink="out.jsonl", run={"frame": 1})
    with project.start("run", str(chain), "--progress", "none") as process:
        wait_until((project / "asked").exists)
        began = monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert monotonic() - began < 8
    assert process.returncode == 130
    assert b"--resume goes on" in err
    assert project.cli("run", str(chain), "--resume").returncode == 0
    assert [json.loads(line) for line in (project / "out.jsonl").read_text().splitlines()] == list(range(100))
