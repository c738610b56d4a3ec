from __future__ import annotations

from collections.abc import Sequence

import pytest

from stagerunner.window.balancing import AHEAD, Balancing


def dealt(workers: int, *sequences: int) -> Balancing:
    balancing = Balancing(workers)
    for sequence in sequences:
        balancing.sent(sequence)
    return balancing


NOBODY = [-1, -1]
"""Nobody has begun anything."""


@pytest.mark.parametrize(
    ("next_one", "begun", "expected"),
    [
        pytest.param(4, NOBODY, 0, id="as much for each"),
        pytest.param(4, [0, 3], 0, id="one more than the other is the usual to and fro"),
        pytest.param(4, [-1, 3], 1, id="two more: passed over"),
        pytest.param(5, [-1, 3], 0, id="it is the other's turn"),
        pytest.param(5, [2, -1], 1, id="and the other way round"),
    ],
)
def test_who_has_more_waiting_than_a_neighbour_is_passed_over(
    next_one: int, begun: Sequence[int], expected: int
) -> None:
    assert AHEAD == 2
    assert dealt(2, 0, 1, 2, 3).skips(next_one, begun, 9) == expected


def test_what_has_been_begun_waits_no_longer() -> None:
    balancing = dealt(2, 0, 1, 2, 3)
    balancing.skips(4, [2, 3], 9)
    for sequence in (4, 6, 5):
        balancing.sent(sequence)
    assert balancing.skips(8, [2, 3], 9) == 0
    balancing.sent(8)
    assert balancing.skips(10, [2, 3], 9) == 1


def test_what_has_come_back_is_forgotten_even_if_nobody_asks() -> None:
    balancing = dealt(2, *range(100))
    for sequence in range(98):
        balancing.back(sequence)
    assert [list(hand) for hand in balancing._hands] == [[98], [99]]


@pytest.mark.parametrize(("most", "expected"), [(9, 2), (2, 2), (1, 0), (0, 0)])
def test_as_many_are_passed_over_as_have_enough_unless_that_costs_too_much(most: int, expected: int) -> None:
    assert dealt(4, *range(12)).skips(12, [-1, -1, 10, -1], most) == expected


def test_with_one_worker_there_is_nobody_to_pass_over() -> None:
    assert dealt(1, 0, 1, 2, 3).skips(4, [-1], 9) == 0


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        pytest.param(NOBODY, False, id="enough for both"),
        pytest.param([0, -1], False, id="three are just enough"),
        pytest.param([2, -1], True, id="two are few"),
        pytest.param([-1, 7], True, id="the other has none"),
    ],
)
def test_who_has_few_waiting_may_soon_have_nothing_to_do(begun: Sequence[int], expected: bool) -> None:
    assert dealt(2, *range(8)).idle_soon(begun) == expected


def test_in_a_new_epoch_nothing_is_in_hand() -> None:
    balancing = dealt(2, 0, 2, 4)
    balancing.begin()
    assert balancing.skips(0, NOBODY, 9) == 0
