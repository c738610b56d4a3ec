from __future__ import annotations

import pytest

from stagerunner.engines.prediction import Hop, Load, StageCost, predict

MS = 1e-3


def chain(*stages: StageCost, hop: Hop = Hop(), **more: float) -> Load:
    return Load(stages, (hop,) * (len(stages) + 1), **more)


def stage(name: str, service: float, cpu: float | None = None, **more) -> StageCost:
    return StageCost(name, service, service if cpu is None else cpu, **more)


def test_the_slowest_group_is_the_limit():
    forecast = predict(chain(stage("a", 1 * MS), stage("b", 4 * MS)), [(1, 1), (1, 1)], cores=4)

    assert forecast.rate == pytest.approx(250)
    assert forecast.limit == "b"
    assert [team.busy for team in forecast.teams] == pytest.approx([0.25, 1])


def test_workers_divide_what_a_group_takes():
    assert predict(chain(stage("a", 4 * MS)), [(1, 2)], cores=4).rate == pytest.approx(500)


def test_all_together_are_no_faster_than_the_cores():
    forecast = predict(chain(stage("a", 2 * MS), stage("b", 2 * MS)), [(1, 1), (1, 1)], cores=1)

    assert (forecast.rate, forecast.limit) == (pytest.approx(250), "the cores")
    assert forecast.cores == pytest.approx(1)


def test_who_waits_takes_no_core():
    waiting = stage("asks", 100 * MS, cpu=0.0, workers=10)

    assert predict(chain(waiting), [(1, 10)], cores=1).rate == pytest.approx(100)


def test_a_group_pays_for_the_codec_at_its_two_ends_alone():
    costs = chain(stage("a", 1 * MS), stage("b", 1 * MS), hop=Hop(encode=1 * MS, decode=2 * MS))

    assert predict(costs, [(1, 1), (1, 1)], cores=8).rate == pytest.approx(250)
    assert predict(costs, [(2, 1)], cores=8).rate == pytest.approx(200)


@pytest.mark.parametrize(("share", "limit"), [("parent", "the parent"), ("feeder", "the source")])
def test_the_ends_have_their_share(share, limit):
    forecast = predict(chain(stage("a", 1 * MS), **{share: 5 * MS}), [(1, 1)], cores=8)

    assert (forecast.rate, forecast.limit) == (pytest.approx(200), limit)


def test_a_rate_that_is_set_is_kept_to():
    forecast = predict(chain(stage("a", 1 * MS, pace=20 * MS)), [(1, 4)], cores=8)

    assert (forecast.rate, forecast.limit) == (pytest.approx(50), "the rate of a")


def test_a_chain_without_costs_has_no_rate():
    assert predict(chain(stage("a", 0.0)), [(1, 1)], cores=2).rate == 0
