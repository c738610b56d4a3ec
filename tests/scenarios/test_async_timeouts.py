"""An async stage that blocks its loop or ignores cancellation is ended within its timeout."""

from __future__ import annotations

import json

import pytest

from stagerunner.engines.process.parent import health, root_cause
from stagerunner.events import RecordFailed, WorkerFailed

PARTS = """
import asyncio

@stage
async def blocks(record):
    if record == 3:
        time.sleep(1000)
    await asyncio.sleep(0.02 if record == 1 else 0)
    return record

@stage
async def stubborn(record):
    while record == 3:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
    return record

@stage
async def tidies_up(record):
    try:
        await asyncio.sleep(1000 if record == 3 else 0)
    finally:
        if record == 3:
            await asyncio.sleep(1000)
    return record
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(root_cause, "LINGERING", 0.1)
    monkeypatch.setattr(health, "STACKS", 0.05)


@pytest.mark.parametrize(("use", "frame"), [("blocks", 1), ("stubborn", 6), ("tidies_up", 1)])
def test_it_costs_its_record_alone(project, use, frame):
    project.plugin(PARTS)
    letters = project / "letters.jsonl"
    stage = {"use": use, "timeout": "150ms", "on_error": "dead_letter", "retry": {"attempts": 3, "delay": "1ms"}}

    given = list(project.results(stage, records=range(6), run={"frame": frame}, dead_letter=str(letters)))

    assert given == [0, 1, 2, 4, 5]
    (failed,) = project.told(RecordFailed)
    assert (failed.type, failed.message) == ("Timeout", "over its time limit of 0.15 s")
    assert json.loads(letters.read_text())["record"] == 3
    assert len(project.told(WorkerFailed)) <= 5


def test_a_call_that_ends_when_it_is_cancelled_ends_no_worker(project):
    project.plugin("""
        import asyncio
        @stage
        async def slow(record):
            await asyncio.sleep(1000 if record == 3 else 0)
            return record
    """)
    stage = {"use": "slow", "timeout": "50ms", "on_error": "skip"}

    assert list(project.results(stage, records=range(6))) == [0, 1, 2, 4, 5]
    assert [failed.message for failed in project.told(RecordFailed)] == ["took longer than 0.05 s"]
    assert project.told(WorkerFailed) == []
