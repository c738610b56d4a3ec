from __future__ import annotations

from msgspec.structs import replace

from stagerunner.records import WHOLE
from stagerunner.window.isolation import MOST_RESTARTS, Culprit, PoisonIsolation, Quarantine

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
    assert isolation.inspections[3].cuts == set()


def test_a_death_at_a_record_singles_it_out() -> None:
    isolation = PoisonIsolation()
    isolation.died(FRAME)
    isolation.died(AT_FIVE)
    assert isolation.inspections[3].cuts == {5, 6}


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
    assert isolation.inspections[3].cuts == {4, 5, 6}
    alone = replace(FRAME, first=4, last=5)
    isolation.died(alone)
    assert isolation.died(alone) == Quarantine(3, (1, 4, WHOLE), "Killed", "")


def test_an_inspection_ends_when_its_split_is_wholly_accepted() -> None:
    isolation = PoisonIsolation()
    isolation.died(AT_FIVE)
    assert not isolation.accepted(3, finished=False)
    assert isolation.accepted(3, finished=True)
    assert isolation.inspections == {}
    assert not isolation.accepted(3, finished=True)


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
