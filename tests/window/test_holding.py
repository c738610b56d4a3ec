from __future__ import annotations

from stagerunner.window.holding import CHARGE, Holding


def test_every_link_is_read_while_there_is_room():
    holding = Holding(10_000)
    holding.came(1000)

    assert holding.reads(due=False, here=False)
    assert holding.reads(due=True, here=True)


def test_beyond_the_limit_only_the_link_is_read_whose_turn_it_is_until_a_frame_of_it_is_here():
    holding = Holding(10_000)
    holding.came(10_000)

    assert holding.reads(due=True, here=False)
    assert not holding.reads(due=True, here=True)
    assert not holding.reads(due=False, here=False)


def test_what_is_taken_makes_room():
    holding = Holding(10_000)
    holding.came(10_000)
    holding.taken(10_000)

    assert (holding.bytes, holding.full) == (0, False)


def test_a_frame_that_is_still_coming_counts_from_its_beginning():
    holding = Holding(10_000)
    holding.begun(10_000)
    assert holding.full

    holding.came(10_000)
    holding.begun(-10_000)

    assert holding.bytes == 10_000 + CHARGE


def test_tiny_frames_are_charged_for_what_they_take():
    holding = Holding(100 * CHARGE)
    for _ in range(100):
        holding.came(4)

    assert holding.full
