from __future__ import annotations

import itertools
import sys
import threading

import pytest

from stagerunner.evaluate.failures import Refusal
from stagerunner.evaluate.outcome.growth import MEASURE_EVERY, UNMEASURED, ResultList, size_of

MIB = 2**20


def test_results_are_added_and_counted():
    result_list = ResultList(MIB)
    assert [result_list.add("ab"), result_list.add(iter(())), result_list.add(range(3))] == [2, 0, 3]
    assert result_list.results == ["a", "b", 0, 1, 2]


def test_a_raise_removes_the_results_of_its_record():
    def failing():
        yield 1
        raise ValueError

    result_list = ResultList(MIB)
    result_list.add([0])
    with pytest.raises(ValueError):
        result_list.add(failing())
    assert result_list.results == [0]


@pytest.mark.parametrize("given", [None, [1, None]])
def test_none_is_never_a_result(given):
    result_list = ResultList(MIB)
    with pytest.raises(Refusal) as refused:
        result_list.add(given)
    assert (refused.value.type, result_list.results) == ("NoneReturned", [])


def test_results_whose_equality_is_odd_pass():
    class Odd:
        def __eq__(self, other):
            raise TypeError("incomparable")

        __hash__ = None

    assert ResultList(MIB).add([Odd()]) == 1


@pytest.mark.parametrize("record", [1, True, "x", "x" * 1000, b"x" * 100_000], ids=lambda r: str(sys.getsizeof(r)))
def test_an_endless_generator_ends_near_the_limit(record):
    ended, drawn = [], itertools.count()

    def endless():
        try:
            while True:
                next(drawn)
                yield record
        finally:
            ended.append(True)

    result_list = ResultList(MIB)
    with pytest.raises(Refusal, match="more than 1,048,576 bytes"):
        result_list.add(endless())
    assert (result_list.results, ended) == ([], [True])
    assert next(drawn) <= max(UNMEASURED + MEASURE_EVERY, 2 * MIB // 8)


def test_a_generator_that_refuses_to_close_is_left_alone():
    def stubborn():
        while True:
            try:
                yield "x" * 1000
            except GeneratorExit:
                yield "still here"

    with pytest.raises(Refusal) as refused:
        ResultList(1000).add(stubborn())
    assert refused.value.type == "TooLarge"


def test_results_of_one_source_record_are_measured_together():
    result_list = ResultList(MIB)
    result_list.begin(7)
    with pytest.raises(Refusal):
        for _ in range(1000):
            result_list.begin(7)
            result_list.add(["x" * 10_000])
    assert 90 <= len(result_list.results) <= 120


def test_each_source_record_has_the_whole_limit():
    result_list = ResultList(MIB)
    for origin in range(300):
        result_list.begin(origin)
        result_list.add(["x" * 10_000])
    assert len(result_list.results) == 300


def test_results_of_a_failed_attempt_do_not_count():
    def failing():
        yield from (str(number) * 1000 for number in range(500))
        raise ValueError

    result_list = ResultList(2 * MIB)
    result_list.begin(0)
    for _ in range(10):
        with pytest.raises(ValueError):
            result_list.add(failing())
    assert result_list.add(str(number) * 1000 for number in range(500)) == 500


def test_a_retry_begins_with_the_size_before_the_attempt():
    def large(number):
        yield from (f"x{place}" * 500 for place in range(number))

    def failing():
        yield from large(1000)
        raise ValueError

    def mostly_small():
        yield from range(900)
        yield from large(800)

    result_list = ResultList(2_000_000)
    result_list.begin(0)
    with pytest.raises(ValueError):
        result_list.add(failing())
    assert result_list.add(mostly_small()) == 1700


def test_a_result_that_can_not_be_pickled_has_a_size():
    assert size_of([threading.Lock()]) > 8
