from __future__ import annotations

import pytest

from stagerunner.window.sizing import COUNTING, FEWEST, GROWTH, LONG, LONGEST, MOST, RANGE, WIDE, WIDEST, Sizing


def test_frames_hold_one_record_until_one_has_come_back() -> None:
    sizing = Sizing()
    assert (sizing.records, sizing.proven) == (1, False)

    sizing.learn(1, 100, slowest=1, widest=1)

    assert (sizing.records, sizing.proven) == (GROWTH, True)


def test_a_fixed_size_needs_no_proof() -> None:
    assert Sizing(fixed=7).proven


def test_what_records_weigh_bounds_the_next_frame() -> None:
    light, heavy = Sizing(), Sizing()
    for sizing in (light, heavy):
        sizing.learn(1, 100, slowest=1, widest=1)
    light.weighed(2, 200)
    heavy.weighed(2, 8 * RANGE)

    assert (light.records, heavy.records) == (GROWTH, 1)


@pytest.mark.parametrize(
    ("size", "cost", "workers", "countable"),
    [
        pytest.param(LONG - 1, 1, 9, True, id="short"),
        pytest.param(100_000, COUNTING * 100_000 - 1, 1, False, id="long and quick"),
        pytest.param(100_000, COUNTING * 100_000, 1, True, id="long and slow"),
        pytest.param(100_000, COUNTING * 100_000, 2, False, id="quick because there are two workers"),
    ],
)
def test_long_records_are_counted_if_the_workers_leave_time(
    size: int, cost: float, workers: int, countable: bool
) -> None:
    sizing = Sizing()
    sizing.learn(3, 3 * size, slowest=int(3 * cost), widest=1)

    assert sizing.countable(workers) == countable
    assert Sizing().countable(workers), "of records of which nothing is known"


def test_a_frame_of_heavy_records_does_not_make_the_next_one_larger_than_a_range() -> None:
    sizing = Sizing()
    sizing.weighed(2, RANGE)
    sizes = []
    for _ in range(4):
        sizing.learn(sizing.records, sizing.records * RANGE // 2, slowest=1, widest=1)
        sizes.append(sizing.records)

    assert sizes == [2, 2, 2, 2]


@pytest.mark.parametrize("record", [RANGE // MOST, RANGE // 16, RANGE])
def test_frames_grow_to_a_range_of_a_file(record: int) -> None:
    sizing = Sizing()
    for _ in range(20):
        sizing.learn(sizing.records, sizing.records * record, slowest=1, widest=1)
        sizing.weighed(1, record)

    assert abs(sizing.size - RANGE) <= record


def test_a_fixed_size_is_never_changed() -> None:
    sizing = Sizing(fixed=7)
    sizing.learn(7, 70, slowest=1, widest=1)
    assert sizing.records == 7
    assert sizing.size == 70


def test_frames_grow_step_by_step() -> None:
    sizing = Sizing()
    for step in range(1, 6):
        sizing.learn(sizing.records, 16, slowest=1, widest=1)
        assert sizing.records == GROWTH**step


def test_a_frame_lasts_about_as_long_as_it_should_in_the_slowest_worker() -> None:
    sizing = Sizing()
    for _ in range(12):
        sizing.learn(10, 100, slowest=int(LONGEST), widest=0)
    assert sizing.records == 10


def test_a_frame_is_about_as_wide_as_the_caches_like() -> None:
    sizing = Sizing()
    for _ in range(12):
        sizing.learn(4 * FEWEST, 100, slowest=1, widest=2 * WIDEST)
    assert sizing.records == 2 * FEWEST


def test_a_frame_of_larger_records_still_holds_many_up_to_a_width() -> None:
    larger, large = Sizing(), Sizing()
    for _ in range(12):
        larger.learn(1000, 100, slowest=1, widest=4 * WIDEST)
        large.learn(10, 100, slowest=1, widest=WIDE)
    assert (larger.records, large.records) == (FEWEST, 10)


def test_records_are_counted_where_they_are_most() -> None:
    sizing = Sizing()
    for _ in range(12):
        sizing.learn(100, 100, slowest=1, widest=WIDEST, most=1000)
    assert sizing.records == 100


def test_a_frame_holds_at_least_one_record_and_never_too_many() -> None:
    sizing = Sizing()
    sizing.learn(1, 10, slowest=int(1000 * LONGEST), widest=0)
    assert sizing.records == 1
    for _ in range(80):
        sizing.learn(sizing.records, sizing.records, slowest=1, widest=1)
    assert sizing.records == MOST


@pytest.mark.parametrize(("size", "expected"), [(10, 10 * GROWTH), (10**6, RANGE)])
def test_bytes_of_the_next_split_follow_from_bytes_per_record(size: int, expected: int) -> None:
    sizing = Sizing()
    sizing.learn(1, size, slowest=1, widest=1)
    assert sizing.size == expected


def test_an_empty_frame_teaches_nothing() -> None:
    sizing = Sizing()
    sizing.learn(0, 100, slowest=1, widest=1)
    assert sizing.records == 1


def test_what_was_too_much_for_some_memory_stays_too_much() -> None:
    sizing = Sizing()
    sizing.cap(4)
    for _ in range(12):
        sizing.learn(4, 40, slowest=1, widest=1)
    assert sizing.records == 4


def test_a_frame_that_took_long_by_chance_says_little_of_the_next() -> None:
    sizing = Sizing()
    for _ in range(20):
        sizing.learn(sizing.records, 1000, slowest=2_000_000 * sizing.records, widest=1)
    usual = sizing.records
    assert usual == pytest.approx(LONGEST // 2_000_000, abs=1)

    sizing.learn(usual, 1000, slowest=2_000_000 * usual + 50_000_000, widest=1)

    assert usual // 2 < sizing.records < usual


def test_records_that_become_slow_have_small_frames_soon() -> None:
    sizing = Sizing()
    for _ in range(20):
        sizing.learn(sizing.records, 1000, slowest=sizing.records, widest=1)

    sizing.learn(sizing.records, 1000, slowest=1_000_000_000 * sizing.records, widest=1)

    assert sizing.records == 1


def test_a_slow_first_record_is_soon_forgotten() -> None:
    sizing = Sizing()
    sizing.learn(1, 1000, slowest=1_000_000_000, widest=1)
    for _ in range(40):
        sizing.learn(sizing.records, 1000, slowest=1000 * sizing.records, widest=1)
    assert sizing.records > 1000
