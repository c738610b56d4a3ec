from __future__ import annotations

from stagerunner.window.demand import LISTS, Demand, Gathers


def test_without_a_stage_that_gathers_nothing_is_asked_for():
    demand = Demand([])
    demand.learn(10, [(0, 10)])
    assert (demand.records, demand.first) == (0, 0)


def test_the_first_frames_fill_a_list_of_each_worker():
    assert Demand([Gathers(0, size=256, workers=2)]).first == 512
    assert Demand([Gathers(0, 10, 1), Gathers(1, 30, 2)]).first == 60


def test_a_stage_that_gets_every_record_needs_some_lists_of_each_worker():
    demand = Demand([Gathers(0, size=256, workers=2)])
    assert demand.records == LISTS * 512
    demand.learn(100, [(0, 100)])
    assert demand.records == LISTS * 512


def test_a_stage_behind_a_filter_needs_more_and_one_behind_a_generator_fewer():
    demand = Demand([Gathers(1, size=100, workers=1)])
    for _ in range(100):
        demand.learn(1000, [(0, 1000), (1, 100)])
    assert abs(demand.records - LISTS * 1000) < 10
    for _ in range(1000):
        demand.learn(10, [(0, 10), (1, 500), (1, 500)])
    assert demand.records == LISTS


def test_the_stage_that_needs_most_decides():
    demand = Demand([Gathers(0, 100, 1), Gathers(1, 50, 1)])
    demand.learn(10_000, [(0, 10_000), (1, 100)])
    assert demand.records > LISTS * 4000


def test_what_it_has_learned_fades():
    demand = Demand([Gathers(0, size=10, workers=1)])
    demand.learn(1000, [(0, 0)])
    for _ in range(500):
        demand.learn(1000, [(0, 1000)])
    assert demand.records == LISTS * 10
