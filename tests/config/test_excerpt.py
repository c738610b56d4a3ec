from __future__ import annotations

from stagerunner.config.excerpt import WIDEST, Excerpt, excerpt, visible
from stagerunner.config.masking import Mask

NOTHING = Mask(())


def test_a_short_line_is_shown_as_it_is():
    assert excerpt("  workers: x", 12, 1, NOTHING) == Excerpt("  workers: x", 11, 1)


def test_a_long_line_is_shown_around_the_caret():
    shown = excerpt("a" * 500 + "BAD" + "c" * 1_000_000, 501, 3, NOTHING)
    assert len(shown.text) == WIDEST + 2
    assert (shown.text[:2], shown.text[-2:]) == ("…a", "c…")
    assert shown.text[shown.offset : shown.offset + shown.width] == "BAD"


def test_a_long_value_is_shown_from_its_beginning():
    shown = excerpt("key: " + "x" * 1_000_000, 6, 1_000_000, NOTHING)
    assert (shown.offset, shown.width) == (5, WIDEST - 5)


def test_control_characters_become_visible_one_for_one():
    assert visible("a\tb\x1b[31m\x00\x7f\u202e\ud800") == "a→b␛[31m␀␡\ufffd\ufffd"
    assert excerpt("\tb: 1", 2, 1, NOTHING) == Excerpt("→b: 1", 1, 1)


def test_wide_characters_take_two_cells():
    assert excerpt("日本: x", 5, 1, NOTHING) == Excerpt("日本: x", 6, 1)


def test_a_caret_may_stand_behind_the_line():
    assert excerpt("a:", 3, 1, NOTHING) == Excerpt("a:", 2, 1)


def test_secrets_are_masked_and_the_caret_moves_along():
    mask = Mask(["hunter2"])
    assert excerpt("a: hunter2, b: x", 16, 1, mask) == Excerpt("a: ***, b: x", 11, 1)
    assert excerpt("a: hunter2", 4, 7, mask) == Excerpt("a: ***", 3, 3)
    assert excerpt("a: hunter2", 6, 1, mask).text == "a: ***"
