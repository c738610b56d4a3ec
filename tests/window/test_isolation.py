from __future__ import annotations

from msgspec.structs import replace

from stagerunner.records import WHOLE
from stagerunner.window.isolation import MOST_RESTARTS, Blame, Convicted, Suspects

FRAME = Blame(stage=1, split=3, first=0, last=8)
AT_FIVE = replace(FRAME, origin=5, ordinal=2)
ALONE = replace(AT_FIVE, first=5, last=6)


def test_a_death_between_frames_suspects_nobody() -> None:
    suspects = Suspects()
    assert suspects.died(Blame()) is None
    assert suspects.inspections == {}
    assert suspects.restarts == 1


def test_a_death_in_an_unmarked_frame_has_it_marked() -> None:
    suspects = Suspects()
    suspects.died(FRAME)
    assert suspects.inspections[3].cuts == set()


def test_a_death_at_a_record_singles_it_out() -> None:
    suspects = Suspects()
    suspects.died(FRAME)
    suspects.died(AT_FIVE)
    assert suspects.inspections[3].cuts == {5, 6}


def test_a_record_is_convicted_when_it_killed_alone_twice() -> None:
    suspects = Suspects()
    suspects.died(AT_FIVE)
    assert suspects.died(ALONE) is None
    assert suspects.died(ALONE) == Convicted(3, (1, 5, 2), "Killed", "")


def test_a_frame_of_one_record_must_have_been_sent_as_a_suspect_to_count() -> None:
    suspects = Suspects()
    assert suspects.died(ALONE) is None
    assert suspects.died(ALONE) is None
    assert suspects.died(ALONE) is not None


def test_deaths_at_different_stages_or_results_are_different_suspicions() -> None:
    suspects = Suspects()
    suspects.died(AT_FIVE)
    suspects.died(ALONE)
    assert suspects.died(replace(ALONE, stage=0)) is None
    assert suspects.died(replace(ALONE, ordinal=0)) is None
    assert suspects.died(ALONE) is not None


def test_a_death_outside_any_call_halves_the_frame_down_to_one_record() -> None:
    suspects = Suspects()
    suspects.died(FRAME)
    for first, last in [(0, 8), (4, 8), (4, 6)]:
        suspects.died(replace(FRAME, first=first, last=last))
    assert suspects.inspections[3].cuts == {4, 5, 6}
    alone = replace(FRAME, first=4, last=5)
    suspects.died(alone)
    assert suspects.died(alone) == Convicted(3, (1, 4, WHOLE), "Killed", "")


def test_an_inspection_ends_when_its_split_is_wholly_accepted() -> None:
    suspects = Suspects()
    suspects.died(AT_FIVE)
    assert not suspects.accepted(3, finished=False)
    assert suspects.accepted(3, finished=True)
    assert suspects.inspections == {}
    assert not suspects.accepted(3, finished=True)


def test_strikes_are_forgotten_with_the_inspection() -> None:
    suspects = Suspects()
    suspects.died(AT_FIVE)
    suspects.died(ALONE)
    suspects.accepted(3, finished=True)
    suspects.died(AT_FIVE)
    assert suspects.died(ALONE) is None


def test_too_many_restarts_without_progress_are_hopeless() -> None:
    suspects = Suspects()
    for _ in range(MOST_RESTARTS):
        assert not suspects.hopeless
        suspects.died(Blame())
    assert suspects.hopeless


def test_three_setups_in_a_row_that_take_too_long_are_hopeless() -> None:
    suspects = Suspects()
    for _ in range(3):
        assert not suspects.hopeless
        suspects.died(Blame(tardy=True))
    assert suspects.hopeless


def test_an_accepted_record_or_a_narrowed_suspect_gives_new_hope() -> None:
    suspects = Suspects()
    for _ in range(MOST_RESTARTS - 1):
        suspects.died(Blame())
    suspects.accepted(0, finished=False)
    for _ in range(MOST_RESTARTS - 1):
        suspects.died(Blame())
    suspects.died(FRAME)
    assert not suspects.hopeless


def test_a_convict_that_still_kills_is_no_progress() -> None:
    suspects = Suspects()
    suspects.died(AT_FIVE)
    for _ in range(2 + MOST_RESTARTS):
        suspects.died(ALONE)
    assert suspects.hopeless
