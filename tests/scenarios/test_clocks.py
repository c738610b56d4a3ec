"""Where a stage's time goes: work and waiting, and the CPU time in it. A stage that sleeps works, too."""

from __future__ import annotations

import time

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


def ticking(count: int):
    """A record every 50 ms."""
    for number in range(count):
        time.sleep(0.05)
        yield number


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [({"concurrency": 16}, 0.01, 0.1), ({"concurrency": 1}, 0.2, 0.6)],
)
def test_an_async_stage_works_for_the_share_of_its_calls_that_are_under_way(project, settings, least, most):
    project.plugin(PARTS)

    with project.results({"use": "waits", **settings}, records=ticking(30)) as results:
        assert list(results) == [*range(30)]

    stage = results.summary.stages[0]
    assert least < stage.work / (stage.work + stage.wait) < most


def test_an_async_stage_that_blocks_does_not_work(project):
    project.plugin(PARTS)

    began = time.monotonic()
    with project.results({"use": "waits", "concurrency": 4}, records=range(400), run={"window": 4096}) as results:
        next(results)
        starting = time.monotonic() - began
        time.sleep(1 + 2 * starting)  # longer than what the window holds takes, on a busy machine, too
        assert len(list(results)) == 399

    stage, seconds = results.summary.stages[0], results.summary.seconds
    assert stage.wait + stage.block > 0.1
    assert stage.work + stage.wait + stage.block + stage.codec == pytest.approx(seconds, abs=0.5 + starting)


def test_a_gathering_stage_waits_while_it_gathers(project):
    project.plugin("""
        @stage.batch
        def model(records):
            time.sleep(0.02)
            return records
    """)

    with project.results({"use": "model", "batch": {"size": 8, "wait": "200ms"}}, records=ticking(24)) as results:
        assert list(results) == [*range(24)]

    stage = results.summary.stages[0]
    assert 0.05 < stage.work < 0.5
    assert stage.wait > 0.8
