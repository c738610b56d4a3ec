"""A stage that raises `RetryLater`: all its workers pause, and no record is lost by it."""

from __future__ import annotations

import pytest

from stagerunner.events import RecordFailed

PARTS = """
from stagerunner import RetryLater

def busy(record):
    "Asks for half a second once; says when it was called."
    if once("asked"):
        tell("asked-at", time.monotonic())
        raise RetryLater(0.5)
    tell(f"call-{record}-{time.monotonic_ns()}", time.monotonic())
    time.sleep(0.002)
    return record

@stage
def plain(record):
    return busy(record)

@stage
def many(record):
    yield busy(record)

@stage.batch
def lists(records):
    return [busy(record) for record in records]

@stage
async def awaited(record):
    return busy(record)
"""


@pytest.mark.parametrize("use", ["plain", "many", "lists", "awaited"])
@pytest.mark.parametrize(("engine", "workers"), [("process", 2), ("inline", 1)])
def test_no_worker_begins_a_call_before_the_pause_is_over(project, use, engine, workers):
    project.plugin(PARTS)
    stage = {"use": use, "workers": workers, "timeout": "400ms"}

    results = project.results(stage, records=range(300), run={"frame": 10}, engine=engine)
    given = list(results)

    assert given == list(range(300))
    assert not project.told(RecordFailed)
    asked = float((project / "asked-at").read_text())
    began = [float(path.read_text()) for path in project.folder.glob("call-*")]
    early = [at - asked for at in began if asked + 0.05 < at < asked + 0.5]
    assert early == [], "a call that had begun when the pause was asked for may end; none begins"
    assert max(began) > asked + 0.5
    assert 0.45 < results.summary.stages[0].paused <= 0.5


def test_it_goes_on_over_a_restart(project):
    """The words of the page survive the death of a worker, so the new ones wait as well."""
    project.plugin(
        PARTS
        + """
@stage
def deadly(record):
    found = busy(record)
    if record == 3 and once("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return found
"""
    )
    assert list(project.results({"use": "deadly", "workers": 2}, records=range(8), run={"frame": 1})) == list(range(8))
