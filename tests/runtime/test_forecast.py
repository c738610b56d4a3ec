from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagerunner.api import prepare
from stagerunner.config.model import Resources
from stagerunner.runtime.forecast import HOP, Forecast, PredictedGroup, as_written, better, forecast
from stagerunner.runtime.sample import Sample, StageCost


def sample_of(*costs: tuple[float, float], cpu: float, frame: float = 1e6) -> Sample:
    """A sample of stages with these (work, codec) seconds per source record."""
    stages = [StageCost(f"s{n}", 100, 100, 0, "", work, codec, work) for n, (work, codec) in enumerate(costs)]
    return Sample(100, cpu, frame, tuple(stages), {})


@pytest.fixture
def plan(project):
    def made(*workers: int, state: bool = False, **run):
        project.plugin("""
            @stage
            class Total:
                def __init__(self): self.n = 0
                def process(self, record): return record
                def snapshot(self): return self.n
                def restore(self, n): self.n = n
        """)
        stages = [
            {"use": "total" if state else "same", "name": f"s{n}", "workers": number}
            for n, number in enumerate(workers)
        ]
        return prepare(project.config(*stages, source={"use": "range", "with": {"stop": 1}}, run=run)).plan

    return made


def layout(found: Forecast) -> list[tuple[int, int]]:
    return [(len(group.stages), group.workers) for group in found.groups]


def test_the_slowest_group_is_the_limit():
    found = forecast([PredictedGroup(("a",), 1, 1e-3), PredictedGroup(("b",), 4, 2e-3)], 1e-4)

    assert (found.rate, found.limit) == (1000.0, "a")
    assert [round(found.busy(group), 2) for group in found.groups] == [1.0, 0.5]


def test_no_more_workers_outrun_a_rate():
    paced = PredictedGroup(("a",), 1, 1e-3, concurrency=4, most_calls=16, pace=2e-3)

    assert forecast([paced], 1e-4).rate == 500.0
    assert paced.wider() == paced


def test_all_cores_together_can_be_the_limit():
    found = forecast([PredictedGroup(("a",), 8, 1e-3)], 5e-4)

    assert (found.rate, found.limit) == (2000.0, "the cores")


def test_without_anything_measured_nothing_is_predicted():
    assert forecast([], 0.0).rate == 0


def test_as_it_is_written_each_stage_has_its_workers(plan):
    found = as_written(plan(2, 1), sample_of((2e-3, 0), (3e-3, 0), cpu=1e-6), 2)

    assert layout(found) == [(1, 2), (1, 1)]
    assert found.limit == "s1"
    assert found.rate == pytest.approx(1 / (3e-3 + HOP / 1e6))


def test_a_stage_that_waits_gets_workers_beyond_the_cores(plan):
    found = better(plan(1), sample_of((10e-3, 0), cpu=10e-6), 2)

    assert found.groups[0].workers == 4


def test_no_more_workers_are_advised_than_there_are_devices(plan):
    chain = plan(1)
    stage = chain.stages[0]
    settings = replace(stage.settings, resources=Resources(gpu=1))
    found = better(replace(chain, stages=(replace(stage, settings=settings),)), sample_of((10e-3, 0), cpu=10e-6), 2)

    assert found.groups[0].workers == 1


def test_a_stage_that_computes_gets_as_many_workers_as_there_are_cores(plan):
    found = better(plan(1), sample_of((1e-3, 1e-6), cpu=1.05e-3), 2)

    assert layout(found) == [(1, 2)]


def test_neighbours_that_spend_their_time_on_codec_share_workers(plan):
    found = better(plan(1, 1, 1), sample_of(*[(1e-6, 10e-6)] * 3, cpu=40e-6), 2)

    assert [len(group.stages) for group in found.groups] == [3]


def test_a_stage_with_state_keeps_one_worker(plan):
    found = better(plan(1, state=True), sample_of((10e-3, 0), cpu=10e-6), 2)

    assert layout(found) == [(1, 1)]


@pytest.fixture
def asking(project):
    project.plugin("""
        @stage
        async def ask(record): return record
    """)
    stages = [{"use": "ask", "concurrency": 16}]
    return prepare(project.config(*stages, source={"use": "range", "with": {"stop": 1}})).plan


def test_an_async_stage_that_waits_gets_more_calls_before_it_gets_workers(asking):
    found = better(asking, sample_of((1e-3, 0), cpu=10e-6), 2)

    assert (found.groups[0].concurrency, found.groups[0].time) == (64, pytest.approx(1e-3 / 4 + HOP / 4e6, rel=1e-3))
    assert as_written(asking, sample_of((1e-3, 0), cpu=10e-6), 2).groups[0].concurrency == 16


def test_an_async_stage_that_computes_gets_no_more_calls(asking):
    found = better(asking, sample_of((1e-3, 0), cpu=0.99e-3), 8)

    assert (found.groups[0].concurrency, found.groups[0].workers > 1) == (16, True)
