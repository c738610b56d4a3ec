from __future__ import annotations

import os

import pytest

from stagerunner.records import Batch
from stagerunner.wire.metrics import (
    CPU,
    DECODING,
    FIRST,
    LAST,
    LEFT,
    ORDINAL,
    ORIGIN,
    OUT,
    RECORD,
    SPLIT,
    STATE,
    STATES,
    TAKEN,
    WORDS,
    WORK,
    WORKING,
    MetricsPage,
    create,
)


@pytest.fixture
def fd():
    fd = create(3)
    yield fd
    os.close(fd)


@pytest.fixture
def page(fd):
    page = MetricsPage(fd, 3)
    yield page
    page.close()


def test_two_views_see_one_page(fd, page):
    other = MetricsPage(fd, 3)
    other.slot(1).words[WORK] = 7

    assert page.slot(1).words[WORK] == 7
    assert (page.slot(0).words[WORK], page.slot(2).words[WORK]) == (0, 0)
    other.close()


def test_calls_are_noted_until_they_end_or_an_epoch_begins():
    fd = create(2, 3)
    page = MetricsPage(fd, 2, 3)
    slot = page.slot(1)
    slot.call(0, (4, 10), (6, 2))
    slot.call(2, (8, 0), (8, 0))
    assert slot.running() == [(4, 10, 6, 3), (8, 0, 8, 1)]
    assert page.slot(0).running() == []

    slot.called(0)
    assert slot.running() == [(8, 0, 8, 1)]

    page.clear()
    assert slot.running() == []
    page.close()
    os.close(fd)


def test_a_slot_has_a_word_for_each_name():
    assert max(ORDINAL, LAST, CPU) < WORDS
    assert set(STATES) == set(range(len(STATES)))


def test_there_is_no_stop_until_one_is_set(page):
    assert page.stop == -1

    page.stop_stage, page.stop = 2, 0

    assert (page.stop, page.stop_stage) == (0, 2)


def test_the_current_record_is_noted_with_its_origin(page):
    slot = page.slot(0)
    slot.begin(4, 9, Batch(list("abc"), 10, 14, origins=[10, 12, 12]))

    slot.enter(2)

    words = slot.words
    assert [words[n] for n in (STATE, SPLIT, FIRST, LAST)] == [WORKING, 9, 10, 14]
    assert [words[n] for n in (RECORD, ORIGIN, ORDINAL)] == [3, 12, 1]
    slot.leave()
    assert words[RECORD] == 0


def test_during_a_flush_the_record_stands_for_itself(page):
    slot = page.slot(0)
    slot.begin(4, 9, Batch(["a"], 0, 1, origins=[0]))
    slot.hold(DECODING, 5, 10, 0, 100)

    slot.enter(70)

    assert [slot.words[n] for n in (ORIGIN, ORDINAL)] == [70, 0]


def test_clocks_and_counts_add_up(page):
    slot = page.slot(2)
    slot.add(1, 2, 3)
    slot.codec += 4
    slot.wait += 5
    slot.block += 6
    slot.add(10, 20, 30)

    assert list(slot.words[WORK : OUT + 1]) == [11, 4, 5, 6, 22, 33]


def test_a_later_view_of_the_page_counts_on(page, fd):
    page.slot(0).add(1, 2, 3)

    later = MetricsPage(fd, 3).slot(0)
    later.add(10, 20, 30)

    assert list(later.words[WORK : OUT + 1]) == [11, 0, 0, 0, 22, 33]


def test_a_new_epoch_keeps_the_clocks_only(page):
    slot = page.slot(0)
    slot.begin(1, 1, Batch(["a"], 0, 1))
    slot.enter(0)
    slot.add(1, 5, 6)
    slot.words[LEFT] = 1
    page.stop = 5

    page.clear()

    assert page.stop == -1
    assert [slot.words[n] for n in (STATE, RECORD, LEFT, WORK, TAKEN)] == [0, 0, 0, 1, 5]


def test_a_page_can_be_closed_while_a_slot_is_referred_to(fd):
    page = MetricsPage(fd, 3)
    slot = page.slot(0)

    page.close()

    with pytest.raises(ValueError, match="released"):
        slot.words[0]


def test_a_call_is_reserved_once_among_all_views(fd, page):
    other = MetricsPage(fd, 3)
    first = page.reserve_call(1, 0.5)

    assert [other.reserve_call(1, 0.5), page.reserve_call(1, 0.5)] == pytest.approx([first + 0.5, first + 1.0])
    assert page.reserve_call(2, 0.5) < first + 0.5, "each stage has its own"


def test_reservations_continue_in_a_new_epoch(page):
    first = page.reserve_call(0, 100)
    page.clear()

    assert page.reserve_call(0, 100) == pytest.approx(first + 100)


def test_what_workers_have_spent_is_added_up_and_survives_an_epoch(fd, page):
    """A stage with two workers in slots 1 and 2; another stage stands before it."""
    other = MetricsPage(fd, 3)
    first, second = page.spent(1, 2, 0), other.spent(1, 2, 1)
    page.spent(0, 1, 0).add(0, 100.0)
    assert first.add(0, 0.5) == 0.5
    assert second.add(0, 0.25) == 0.25
    assert second.add(7, 3.0) == 3.0
    page.clear()
    assert first.total(0) == second.total(0) == 0.75
    assert first.total(7) == 3
    assert other.spent(1, 2, 1).add(0, 1.0) == 1.25
    other.close()


def test_the_parent_says_that_nothing_can_follow(page):
    assert not page.all_sent_before(0)
    page.say_all_sent(4)
    assert [page.all_sent_before(sequence) for sequence in (4, 5, 6)] == [False, True, True]
    page.say_all_sent(-1)
    assert not page.all_sent_before(5)


def test_workers_say_how_many_frames_they_have_open_until_an_epoch_begins(page):
    page.open_frames(0, 3)
    page.open_frames(2, 4)
    page.say_all_sent(7)
    assert page.opened() == 7
    page.clear()
    assert (page.opened(), page.all_sent_before(8)) == (0, False)


def test_a_signal_may_halt_a_page_that_is_closed(page):
    page.halt()
    assert page.halted

    page.close()
    page.halt()
