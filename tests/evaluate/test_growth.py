from __future__ import annotations

import itertools
import sys
import threading

import pytest

from stagerunner.evaluate.growth import FIRST, MOST, Pile, weight_of
from stagerunner.evaluate.policy import Refusal

MIB = 2**20


def test_results_are_piled_up_and_counted():
    pile = Pile(MIB)
    assert [pile.add("ab"), pile.add(iter(())), pile.add(range(3))] == [2, 0, 3]
    assert pile.results == ["a", "b", 0, 1, 2]


def test_a_raise_takes_back_the_results_of_its_record():
    def failing():
        yield 1
        raise ValueError

    pile = Pile(MIB)
    pile.add([0])
    with pytest.raises(ValueError):
        pile.add(failing())
    assert pile.results == [0]


@pytest.mark.parametrize("given", [None, [1, None]])
def test_none_is_never_a_result(given):
    pile = Pile(MIB)
    with pytest.raises(Refusal) as refused:
        pile.add(given)
    assert (refused.value.type, pile.results) == ("NoneReturned", [])


def test_arrays_and_other_things_that_equal_nothing_pass():
    class Odd:
        def __eq__(self, other):
            raise TypeError("incomparable")

        __hash__ = None

    assert Pile(MIB).add([Odd()]) == 1


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

    pile = Pile(MIB)
    with pytest.raises(Refusal, match="more than 1,048,576 bytes"):
        pile.add(endless())
    assert (pile.results, ended) == ([], [True])
    assert next(drawn) <= max(FIRST + MOST, 2 * MIB // 8)


def test_a_generator_that_will_not_end_is_left_alone():
    def stubborn():
        while True:
            try:
                yield "x" * 1000
            except GeneratorExit:
                yield "still here"

    with pytest.raises(Refusal) as refused:
        Pile(1000).add(stubborn())
    assert refused.value.type == "TooLarge"


def test_records_of_one_source_record_are_weighed_together():
    pile = Pile(MIB)
    pile.begin(7)
    with pytest.raises(Refusal):
        for _ in range(1000):
            pile.begin(7)
            pile.add(["x" * 10_000])
    assert 90 <= len(pile.results) <= 120


def test_each_source_record_has_the_limit_for_itself():
    pile = Pile(MIB)
    for origin in range(300):
        pile.begin(origin)
        pile.add(["x" * 10_000])
    assert len(pile.results) == 300


def test_what_a_failed_attempt_gave_is_not_weighed():
    def failing():
        yield from (str(number) * 1000 for number in range(500))
        raise ValueError

    pile = Pile(2 * MIB)
    pile.begin(0)
    for _ in range(10):
        with pytest.raises(ValueError):
            pile.add(failing())
    assert pile.add(str(number) * 1000 for number in range(500)) == 500


def test_another_attempt_begins_with_the_weight_there_was_before():
    def large(number):
        yield from (f"x{place}" * 500 for place in range(number))

    def failing():
        yield from large(1000)
        raise ValueError

    def mostly_small():
        yield from range(900)
        yield from large(800)

    pile = Pile(2_000_000)
    pile.begin(0)
    with pytest.raises(ValueError):
        pile.add(failing())
    assert pile.add(mostly_small()) == 1700


def test_what_cannot_be_pickled_still_weighs():
    assert weight_of([threading.Lock()]) > 8
