"""A stage's CPU time is told apart from the time for which it is at work: a stage that sleeps works, too."""

from __future__ import annotations

import pytest

PARTS = """
@stage
def sleeps(record):
    time.sleep(0.02)
    return record

@stage
def computes(record):
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass
    return record

@stage
async def waits(record):
    import asyncio
    await asyncio.sleep(0.02)
    return record
"""


@pytest.mark.parametrize(("stage", "least", "most"), [("sleeps", 0, 0.3), ("computes", 0.95, 1.5), ("waits", 0, 3)])
def test_the_summary_has_the_cpu_time_of_each_stage(project, stage, least, most):
    project.plugin(PARTS)

    with project.results({"use": stage, "workers": 2}, records=range(40)) as results:
        assert list(results) == [*range(40)]

    assert least * 0.8 <= results.summary.stages[0].cpu <= most * 0.8


def test_a_worker_that_is_killed_has_told_its_cpu_time_before(project):
    project.plugin(
        PARTS
        + """
@stage
def dies(record):
    computes(record)
    if record == 20 and once("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return record
"""
    )

    with project.results("dies", records=range(30)) as results:
        assert list(results) == [*range(30)]

    assert results.summary.restarts == 1
    assert results.summary.stages[0].cpu >= 0.8 * 30 * 0.02  # what it used last is lost with it
