from __future__ import annotations

import pytest
from msgspec.structs import replace

from stagerunner.records import WHOLE
from stagerunner.window.isolation import MOST_RESTARTS, Culprit, Excess, PoisonIsolation, Quarantine, Suspect

FRAME = Culprit(stage=1, split=3, first=0, last=8)
AT_FIVE = replace(FRAME, origin=5, ordinal=2)
ALONE = replace(AT_FIVE, first=5, last=6)


def test_a_death_between_frames_suspects_nobody() -> None:
    isolation = PoisonIsolation()
    assert isolation.died(Culprit()) is None
    assert isolation.inspections == {}
    assert isolation.restarts == 1


def test_a_death_in_an_unmarked_frame_has_it_marked() -> None:
    isolation = PoisonIsolation()
    isolation.died(FRAME)
    assert isolation.inspections[3].marks(0, 8)


def test_a_death_at_a_record_singles_it_out() -> None:
    isolation = PoisonIsolation()
    isolation.died(FRAME)
    isolation.died(AT_FIVE)
    assert isolation.inspections[3].cuts >= {5, 6}
    assert isolation.inspections[3].suspects == {(5, 6)}


def test_a_record_is_quarantined_when_it_killed_alone_twice() -> None:
    isolation = PoisonIsolation()
    isolation.died(AT_FIVE)
    assert isolation.died(ALONE) is None
    assert isolation.died(ALONE) == Quarantine(3, (1, 5, 2), "Killed", "")


def test_a_frame_of_one_record_must_have_been_sent_as_a_suspect_to_count() -> None:
    isolation = PoisonIsolation()
    assert isolation.died(ALONE) is None
    assert isolation.died(ALONE) is None
    assert isolation.died(ALONE) is not None


def test_deaths_at_different_stages_or_results_are_different_suspicions() -> None:
    isolation = PoisonIsolation()
    isolation.died(AT_FIVE)
    isolation.died(ALONE)
    assert isolation.died(replace(ALONE, stage=0)) is None
    assert isolation.died(replace(ALONE, ordinal=0)) is None
    assert isolation.died(ALONE) is not None


def test_a_death_outside_any_call_halves_the_frame_down_to_one_record() -> None:
    isolation = PoisonIsolation()
    isolation.died(FRAME)
    for first, last in [(0, 8), (4, 8), (4, 6)]:
        isolation.died(replace(FRAME, first=first, last=last))
    assert isolation.inspections[3].cuts == {0, 4, 5, 6, 8}
    alone = replace(FRAME, first=4, last=5)
    isolation.died(alone)
    assert isolation.died(alone) == Quarantine(3, (1, 4, WHOLE), "Killed", "")


def test_an_inspection_ends_when_its_split_is_wholly_accepted() -> None:
    isolation = PoisonIsolation()
    isolation.died(AT_FIVE)
    isolation.accepted(3, finished=False)
    assert 3 in isolation.inspections
    isolation.accepted(3, finished=True)
    assert isolation.inspections == {}


def test_frames_get_smaller_if_one_dies_whole_and_passes_in_halves() -> None:
    isolation = PoisonIsolation()
    isolation.died(FRAME)
    isolation.died(FRAME)
    assert isolation.accepted(3, finished=True) == Excess(records=4)


@pytest.mark.parametrize("deaths", [[AT_FIVE], [FRAME, AT_FIVE, ALONE], [FRAME, FRAME, AT_FIVE]])
def test_frames_stay_as_they_are_if_a_record_was_named(deaths) -> None:
    isolation = PoisonIsolation()
    for death in deaths:
        isolation.died(death)
    assert isolation.accepted(3, finished=True) is None


CALLS = replace(FRAME, split=-1, calls=(Suspect(3, 5, 6), Suspect(4, 0, 1), Suspect(4, 1, 2)))


def test_what_was_in_calls_is_suspected_and_nothing_else() -> None:
    isolation = PoisonIsolation()
    isolation.died(CALLS)
    assert isolation.inspections[3].suspects == {(5, 6)}
    assert isolation.inspections[4].suspects == {(0, 1), (1, 2)}


def test_a_suspect_that_kills_alone_is_quarantined_and_the_others_are_not() -> None:
    isolation = PoisonIsolation()
    isolation.died(CALLS)
    alone = replace(ALONE, ordinal=0)
    assert isolation.died(alone) is None
    assert isolation.died(alone) == Quarantine(3, (1, 5, 0), "Killed", "")
    assert [isolation.accepted(split, finished=True) for split in (3, 4)] == [None, None]
    assert isolation.inspections == {}


def test_if_all_suspects_pass_it_was_too_much_at_once() -> None:
    isolation = PoisonIsolation()
    isolation.died(CALLS)
    assert isolation.accepted(3, finished=True) is None
    assert isolation.accepted(4, finished=True) == Excess(stage=1)
    isolation.died(CALLS)
    assert isolation.inspections == {}, "the next epoch does less at once, which may be enough"
    isolation.died(CALLS)
    assert isolation.inspections.keys() == {3, 4}


def test_calls_that_were_killed_from_outside_are_suspected_only_the_second_time() -> None:
    isolation = PoisonIsolation()
    outside = replace(CALLS, outside=True)
    isolation.died(outside)
    assert isolation.inspections == {}
    isolation.died(replace(outside, calls=(Suspect(7, 0, 9), Suspect(8, 0, 9))))
    assert isolation.inspections == {}
    isolation.died(replace(outside, calls=(Suspect(8, 4, 5), Suspect(9, 0, 9))))
    assert isolation.inspections.keys() == {8, 9}


def test_a_list_that_is_called_whole_though_it_is_marked_is_halved() -> None:
    isolation = PoisonIsolation()
    listed = replace(FRAME, split=-1, calls=(Suspect(3, 0, 8),))
    isolation.died(listed)
    isolation.died(listed)
    assert isolation.inspections[3].cuts == {0, 4, 8}


def test_strikes_are_forgotten_with_the_inspection() -> None:
    isolation = PoisonIsolation()
    isolation.died(AT_FIVE)
    isolation.died(ALONE)
    isolation.accepted(3, finished=True)
    isolation.died(AT_FIVE)
    assert isolation.died(ALONE) is None


def test_too_many_restarts_without_progress_are_hopeless() -> None:
    isolation = PoisonIsolation()
    for _ in range(MOST_RESTARTS):
        assert not isolation.hopeless
        isolation.died(Culprit())
    assert isolation.hopeless


def test_three_setups_in_a_row_that_take_too_long_are_hopeless() -> None:
    isolation = PoisonIsolation()
    for _ in range(3):
        assert not isolation.hopeless
        isolation.died(Culprit(tardy=True))
    assert isolation.hopeless


def test_an_accepted_record_or_a_narrowed_suspect_gives_new_hope() -> None:
    isolation = PoisonIsolation()
    for _ in range(MOST_RESTARTS - 1):
        isolation.died(Culprit())
    isolation.accepted(0, finished=False)
    for _ in range(MOST_RESTARTS - 1):
        isolation.died(Culprit())
    isolation.died(FRAME)
    assert not isolation.hopeless


def test_a_quarantined_record_that_still_kills_is_no_progress() -> None:
    isolation = PoisonIsolation()
    isolation.died(AT_FIVE)
    for _ in range(2 + MOST_RESTARTS):
        isolation.died(ALONE)
    assert isolation.hopeless
