from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from stagerunner.window.demand import LISTS, PARTS, Demand, Gathers


def test_without_a_stage_that_gathers_nothing_is_asked_for():
    demand = Demand([])
    demand.learn(10, [(0, 10)])
    assert (demand.records, demand.even) == (0, False)


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
    assert demand.records <= LISTS + 1


def test_what_a_filter_did_is_known_before_a_frame_is_back():
    demand = Demand([Gathers(1, size=256, workers=1)])
    demand.foresee(999, 99)
    assert demand.records == LISTS * 2560
    demand.learn(1, [(0, 1), (1, 1)])
    assert demand.records > LISTS * 2400


def test_the_first_frames_are_parts_of_a_list():
    assert Demand([Gathers(0, size=256, workers=2)]).part == 256 / PARTS
    assert Demand([Gathers(0, 256, 1), Gathers(1, 4, 1)]).part == 1


def fitted(demand: Demand, wanted: Iterable[int]) -> list[int]:
    """The records of frames for which so many are wanted."""
    held = []
    for sequence, records in enumerate(wanted):
        held.append(demand.fitting(sequence, records))
        demand.dealt(sequence, held[-1])
    return held


def test_frames_fill_lists_exactly_in_equal_parts():
    assert fitted(Demand([Gathers(0, size=256, workers=1)]), [84] * 5) == [64] * 5
    assert fitted(Demand([Gathers(0, size=10, workers=1)]), [4, 4, 4, 10, 3]) == [4, 3, 3, 10, 3]


def test_all_workers_get_as_many_records_whatever_frames_are_wanted():
    held = fitted(Demand([Gathers(0, size=256, workers=2)]), [1, 2, 4, 8, 16, 32, 64, 84, *[90, 70] * 20])
    one, other = held[::2], held[1::2]
    assert max(abs(sum(one[:n]) - sum(other[:n])) for n in range(len(one))) < 128
    assert {256, 512, 768} <= set(accumulate(one)) & set(accumulate(other))


def test_a_frame_may_hold_several_lists():
    assert fitted(Demand([Gathers(0, size=10, workers=1)]), [4, 47, 47, 9]) == [4, 46, 40, 5]
    assert fitted(Demand([Gathers(0, size=10, workers=2)]), [47, 30, 47, 30]) == [40, 30, 40, 30]


def test_in_a_new_epoch_all_lists_are_empty():
    demand = Demand([Gathers(0, size=10, workers=2)])
    demand.dealt(0, 7)
    demand.begin()
    assert demand.fitting(0, 10) == demand.fitting(1, 10) == 10


def test_lists_are_filled_exactly_only_if_each_record_comes_to_the_stage():
    demand = Demand([Gathers(1, size=100, workers=1)])
    assert demand.even
    demand.learn(1000, [(0, 1000), (1, 999)])
    assert demand.even
    demand.learn(1000, [(0, 1000), (1, 900)])
    assert not demand.even


def test_the_stage_that_needs_most_decides():
    demand = Demand([Gathers(0, 100, 1), Gathers(1, 50, 1)])
    demand.learn(10_000, [(0, 10_000), (1, 100)])
    assert demand.records > LISTS * 4000


def test_what_it_has_learned_fades():
    demand = Demand([Gathers(0, size=10, workers=1)])
    demand.learn(1000, [(0, 0)])
    for _ in range(500):
        demand.learn(1000, [(0, 1000)])
    assert demand.records <= LISTS * 10 + 1
