from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagerunner.engines.advice import FRAME, advise, load_of
from stagerunner.engines.sampling import Cost, Sample
from stagerunner.runner import prepare


def seen(*stages: Cost, **more) -> Sample:
    settings = {"cutting": 1e-6, "streamed": False} | more
    source, sink = Cost("source", 100, 100, work=2e-6), Cost("sink", 100, 100, work=3e-6)
    return Sample(100, 90, 1e9, settings["cutting"], settings["streamed"], source, stages, sink)


def cost(name: str, work: float, **more) -> Cost:
    return Cost(name, 100, 100, each=work, work=work, cpu=work, **more)


@pytest.fixture
def planned(project):
    def planned(*stages, **keys):
        keys = {"source": {"use": "range", "with": {"stop": 9}}, "sink": str(project / "out.txt"), **keys}
        return prepare(project.config(*stages, **keys)).plan

    return planned


def test_the_ends_of_the_chain_are_hops_of_its_first_and_last_worker(planned):
    plan = planned("same", "double")
    load = load_of(plan, seen(cost("same", 1e-6, encode=4e-6, decode=5e-6), cost("double", 1e-6)))

    assert [hop.decode for hop in load.hops[:2]] == pytest.approx([2e-6, 5e-6])
    assert [hop.encode for hop in load.hops[1:]] == pytest.approx([4e-6, 3e-6])
    assert (load.parent, load.feeder) == (pytest.approx(1e-6), 0)


def test_a_stream_is_no_work_of_the_parent(planned):
    load = load_of(planned("same"), seen(cost("same", 1e-6), streamed=True))

    assert (load.parent, load.feeder) == (pytest.approx(0), 1e-6)


def test_frames_of_one_record_cost_what_a_frame_costs(planned):
    load = load_of(planned("same"), replace(seen(cost("same", 1e-6)), frame=1.0))

    assert load.hops[0].decode == pytest.approx(2e-6 + FRAME)


def test_heavy_stages_are_to_have_the_cores(planned):
    advice = advise(planned("same"), seen(cost("same", 1e-3)), cores=4)

    assert advice.written.limit == "same"
    assert [team.workers for team in advice.better.teams] == [4]


def test_cheap_neighbours_are_to_share_a_worker(planned):
    cheap = cost("same", 1e-7, encode=1e-6, decode=1e-6)
    advice = advise(planned("same", "same"), seen(cheap, cheap), cores=1)

    assert [team.stages for team in advice.better.teams] == [("same", "same-2")]
    assert advice.fuse


def test_a_stage_with_a_timeout_shares_with_nobody(planned):
    cheap = cost("same", 1e-7, encode=1e-6, decode=1e-6)
    plan = planned({"use": "same", "timeout": "1s"}, "same")

    assert len(advise(plan, seen(cheap, cheap), cores=1).better.teams) == 2


def test_a_rate_bounds_the_prediction(planned, project):
    project.plugin("""
        @stage
        async def asks(record):
            return record
    """)
    plan = planned({"use": "asks", "rate": "50/s"})

    assert advise(plan, seen(cost("asks", 1e-6)), cores=2).written.rate == pytest.approx(50)


def test_what_is_as_good_stays_as_it_is(planned):
    advice = advise(planned({"use": "same", "workers": 4}), seen(cost("same", 1e-3)), cores=4)

    assert advice.better == advice.written
    assert not advice.fuse


def test_a_chain_without_stages_is_copied_by_one_worker(planned):
    advice = advise(planned(), seen(), cores=2)

    assert [team.stages for team in advice.better.teams] == [("copy",)]
