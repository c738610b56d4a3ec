from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from stagerunner.records import BARRIER, DATA, FLUSH, SKIP, TO_THE_END, WHOLE
from stagerunner.window.core import CHARGE, Window
from stagerunner.window.isolation import Inspection, Suspect
from stagerunner.window.splits import FLUSHES, Disposition, ProtocolFault, Received, Sent

SPLIT = b"split"


def admitted(window: Window, count: int, size: int = 10) -> None:
    """Admit splits; the source stands behind the n-th at position n."""
    for _ in range(count):
        window.admit(SPLIT, size, position=1 + len(window.kept))


def came(window: Window, first: int, last: int, *, more: bool = False, **what: Any) -> Received:
    """The frame whose turn it is comes back, or a piece of it."""
    sent = window.on_way[0]
    assert sent.split is not None
    return window.receive(sent.sequence, sent.split.number, first, last, more=more, **what)


def ranges(sent: list[Sent]) -> list[tuple[int, int, str]]:
    return [(frame.first, frame.last, frame.disposition.value) for frame in sent]


# Admitting


def test_a_split_is_one_frame_to_its_end() -> None:
    window = Window(100)
    assert ranges(window.admit(SPLIT, 10)) == [(0, TO_THE_END, "accept")]
    assert window.bytes_kept == 10
    assert window.last_sequence == 0


def test_a_split_counts_at_least_its_own_bytes() -> None:
    window = Window(100)
    window.admit(SPLIT, 0)
    assert window.bytes_kept == len(SPLIT)


def test_there_is_room_until_the_bytes_are_used_up() -> None:
    window = Window(25, least_frames=100)
    admitted(window, 2)
    assert window.room()
    admitted(window, 1)
    assert not window.room()


def test_there_is_room_for_so_many_frames_or_so_many_records() -> None:
    window = Window(10**6, least_frames=2, least_records=8)
    admitted(window, 2)
    assert not window.room(records_per_frame=4)
    assert window.room(records_per_frame=2)


def passed_over() -> Window:
    """A window of two workers, of whom the first has all of its frames still to do, and a skip frame behind them."""
    window = Window(100, workers=2, least_frames=5, least_records=1)
    admitted(window, 4)
    (skip,) = window.pass_over([-1, 3], 9)
    assert (skip.sequence, skip.kind, skip.split) == (4, SKIP, None)
    admitted(window, 1)
    return window


def test_who_has_enough_to_do_gets_a_skip_in_his_turn() -> None:
    assert [(sent.sequence, sent.kind) for sent in passed_over().on_way][3:] == [(3, DATA), (4, SKIP), (5, DATA)]


def test_while_somebody_may_soon_have_nothing_to_do_only_bytes_bound_what_waits_behind_a_slow_frame() -> None:
    window = Window(1000 * CHARGE, workers=2, least_frames=6, least_records=1)
    admitted(window, 6)
    assert not window.room(begun=[-1, -1])
    assert not window.room()
    while window.room(begun=[-1, 9999]):
        window.pass_over([-1, 9999], 9)
        admitted(window, 1)
    assert 990 < len(window.on_way) <= 1006
    assert sum(sent.kind == SKIP for sent in window.on_way) > 490


def test_a_skip_takes_up_no_room() -> None:
    window = passed_over()
    assert not window.room()
    came(window, 0, 3)
    assert window.room()


def test_a_skip_that_came_back_is_gone() -> None:
    window = passed_over()
    for _ in range(4):
        came(window, 0, 3)
    window.passed(4)
    assert came(window, 0, 3).sent.sequence == 5
    assert (window.kept, len(window.on_way)) == (deque(), 0)
    admitted(window, 5)
    assert not window.room()


def test_a_skip_lets_go_of_nothing_that_waits_for_a_barrier() -> None:
    window = Window(100, stateful=True, workers=2)
    admitted(window, 4)
    window.pass_over([-1, 3], 9)
    for _ in range(4):
        came(window, 0, 3)
    window.passed(4)
    assert len(window.kept) == 4


def test_a_restart_sends_no_skip_again() -> None:
    window = passed_over()
    again = window.restart()
    assert [(sent.sequence, sent.kind) for sent in again] == [(number, DATA) for number in range(5)]
    assert not window.room()


def test_what_has_come_back_is_in_nobodys_hand() -> None:
    window = Window(100, workers=2)
    admitted(window, 6)
    for _ in range(4):
        came(window, 0, 3)
    assert window.pass_over([-1, 5], 9) == []


def test_nor_is_what_was_sent_before_a_restart() -> None:
    window = Window(100, workers=2)
    admitted(window, 2)
    window.restart()
    assert window.pass_over([-1, 1], 9) == []


def test_one_split_is_always_admitted_when_nothing_is_on_its_way() -> None:
    assert Window(0).room()


# Taking


def test_a_split_is_done_when_its_frame_came_back_whole() -> None:
    window = Window(100)
    admitted(window, 1)
    taken = came(window, 0, 4)
    assert taken.disposition is Disposition.ACCEPT
    assert taken.final
    assert taken.finished
    assert window.position == 1
    assert not window.kept
    assert window.bytes_kept == 0


def test_pieces_are_accepted_as_they_come() -> None:
    window = Window(100)
    admitted(window, 1)
    assert not came(window, 0, 3, more=True).finished
    assert (window.position, window.accepted) == (None, 3)
    assert came(window, 3, 5).finished
    assert (window.position, window.accepted) == (1, 0)


@pytest.mark.parametrize(
    ("sequence", "split", "first", "last"), [(1, 0, 0, 2), (0, 1, 0, 2), (0, 0, 1, 2), (0, 0, 2, 1)]
)
def test_what_was_not_asked_for_is_a_fault(sequence: int, split: int, first: int, last: int) -> None:
    window = Window(100)
    admitted(window, 2)
    with pytest.raises(ProtocolFault):
        window.receive(sequence, split, first, last, more=False)


def test_more_records_than_asked_for_are_a_fault() -> None:
    window = Window(100)
    window.admit(SPLIT, 10, last=3)
    with pytest.raises(ProtocolFault):
        window.receive(0, 0, 0, 4, more=False)


def test_the_position_never_passes_a_split_that_is_not_done() -> None:
    window = Window(100)
    admitted(window, 2)
    came(window, 0, 4)
    came(window, 0, 1, more=True)
    assert window.position == 1


def test_a_split_in_which_the_run_fails_is_never_done() -> None:
    window = Window(100)
    admitted(window, 1)
    assert not came(window, 0, 2, fails=True).finished
    assert window.position is None


# State: barriers


def test_with_state_nothing_is_let_go_before_a_barrier_came_back() -> None:
    window = Window(100, stateful=True)
    admitted(window, 1)
    came(window, 0, 4)
    assert window.bytes_kept == 10
    barrier = window.barrier()
    window.passed(barrier.sequence)
    assert window.bytes_kept == 0
    assert window.position == 1


def test_a_barrier_lets_go_only_of_what_was_sent_before_it() -> None:
    window = Window(100, stateful=True)
    admitted(window, 1)
    barrier = window.barrier()
    admitted(window, 1)
    came(window, 0, 4)
    window.passed(barrier.sequence)
    assert [kept.number for kept in window.kept] == [1]


def test_a_barrier_is_wanted_when_half_the_window_waits_for_one() -> None:
    window = Window(20, stateful=True)
    admitted(window, 1)
    assert window.barrier_due()
    assert not window.wants_barrier()
    came(window, 0, 4)
    assert window.wants_barrier()
    window.barrier()
    assert not window.wants_barrier()
    assert not window.barrier_due()


def test_only_a_barrier_passes_as_one() -> None:
    window = Window(100)
    admitted(window, 1)
    with pytest.raises(ProtocolFault):
        window.passed(0)


# Restart


def test_a_restart_sends_again_from_the_accepted_record_on() -> None:
    window = Window(100)
    admitted(window, 2)
    came(window, 0, 3, more=True)
    sent = window.restart()
    assert window.epoch == 2
    assert [frame.sequence for frame in sent] == [0, 1]
    assert ranges(sent) == [(3, TO_THE_END, "accept"), (0, TO_THE_END, "accept")]


def test_what_was_accepted_is_not_sent_again_without_state() -> None:
    window = Window(100)
    admitted(window, 1)
    window.restart({0: Inspection({2})})
    came(window, 0, 2)
    assert ranges(window.restart()) == [(2, TO_THE_END, "accept")]


def test_with_state_all_since_the_barrier_passes_the_stages_again() -> None:
    window = Window(100, stateful=True)
    admitted(window, 2)
    came(window, 0, 4)
    came(window, 0, 3, more=True)
    assert ranges(window.restart()) == [(0, 4, "drop"), (0, 3, "drop"), (3, TO_THE_END, "accept")]


def test_suspected_splits_are_cut_and_their_suspects_marked() -> None:
    window = Window(100)
    admitted(window, 2)
    sent = window.restart({0: Inspection({5, 6}, {(5, 6)})})
    assert ranges(sent)[:3] == [(0, 5, "accept"), (5, 6, "accept"), (6, TO_THE_END, "accept")]
    assert [frame.marked for frame in sent] == [False, True, False, False]


def test_a_record_that_can_not_be_decoded_is_always_sent_alone() -> None:
    window = Window(100)
    admitted(window, 1)
    window.quarantine(0, (1, 2, WHOLE), ("Killed", ""))
    assert ranges(window.restart()) == [(0, 2, "accept"), (2, 3, "accept"), (3, TO_THE_END, "accept")]


# A second reading of the source


def test_after_rewinding_what_had_been_taken_is_dropped() -> None:
    window = Window(100)
    admitted(window, 2)
    came(window, 0, 4)
    came(window, 0, 2, more=True)
    window.rewind({})
    assert ranges(window.admit(SPLIT, 10)) == [(0, TO_THE_END, "drop")]
    assert ranges(window.admit(SPLIT, 10)) == [(0, 2, "drop"), (2, TO_THE_END, "accept")]
    assert ranges(window.admit(SPLIT, 10)) == [(0, TO_THE_END, "accept")]


def test_a_flush_has_the_same_number_in_every_reading() -> None:
    window = Window(100)
    admitted(window, 1)
    came(window, 0, 4)
    window.flush(2, b"")
    came(window, 0, 1, more=True)
    window.rewind({})
    admitted(window, 1)
    assert window.kept[0].number == 0
    assert ranges(window.flush(2, b"")) == [(0, 1, "drop"), (1, TO_THE_END, "accept")]
    assert window.kept[1].number == FLUSHES + 2


def test_quarantines_and_cuts_hold_in_every_reading() -> None:
    window = Window(100)
    admitted(window, 1)
    came(window, 0, 4)
    window.quarantine(0, (1, 2, 0), ("Killed", "twice"))
    window.rewind({0: Inspection({2, 3})})
    assert ranges(window.admit(SPLIT, 10)) == [(0, 2, "drop"), (2, 3, "drop"), (3, TO_THE_END, "drop")]
    assert window.kept[0].quarantined == {(1, 2, 0): ("Killed", "twice")}


# Early stop


def test_behind_a_stop_nothing_is_wanted() -> None:
    window = Window(100)
    admitted(window, 3)
    assert came(window, 0, 2, stop=True, stop_stage=0).finished
    assert window.stopped
    assert not window.room()
    assert window.bytes_kept == 0
    assert came(window, 0, 4).disposition is Disposition.DROP


def test_what_follows_the_stop_in_its_own_split_is_dropped() -> None:
    window = Window(100)
    admitted(window, 1)
    window.restart({0: Inspection({2})})
    came(window, 0, 1, stop=True, stop_stage=0)
    assert came(window, 2, 5).disposition is Disposition.DROP


def test_flushes_of_the_stages_behind_the_stop_stay_wanted() -> None:
    window = Window(100)
    admitted(window, 1)
    window.flush(0, b"")
    window.flush(2, b"")
    came(window, 0, 2, stop=True, stop_stage=1)
    assert came(window, 0, 1).disposition is Disposition.DROP
    assert came(window, 0, 1).disposition is Disposition.ACCEPT


def test_frames_have_the_kind_of_what_they_carry() -> None:
    window = Window(100, stateful=True)
    admitted(window, 1)
    window.barrier()
    window.flush(0, b"")
    assert [sent.kind for sent in window.on_way] == [DATA, BARRIER, FLUSH]


def test_a_split_that_failed_is_not_done() -> None:
    window = Window(100)
    admitted(window, 1)
    taken = came(window, 0, 2, fails=True)
    assert (taken.fatal, taken.final, taken.finished, window.position) == (True, True, False, None)


def test_the_calls_of_a_dead_worker_lead_to_the_records_on_their_way() -> None:
    window = Window(100)
    for _ in range(3):
        window.admit(b"split", 5, last=4)
    window.receive(0, 0, 0, 4, more=False)
    sent = list(window.on_way)

    suspects = window.suspects([(0, 0, 1), (1, 3, TO_THE_END), (2, 0, 2)])

    assert suspects == [(sent[0], Suspect(1, 3, 4)), (sent[1], Suspect(2, 0, 2))]


def test_a_split_is_kept_until_it_is_accepted() -> None:
    window = Window(100)
    window.admit(b"split", 5, last=4)
    assert window.keeps(0)
    window.receive(0, 0, 0, 4, more=False)
    assert not window.keeps(0)


# A resume inside a split


def resumed(skipping: int) -> Window:
    window = Window(100)
    window.position, window.skipping = 7, skipping
    return window


def test_a_resume_sends_the_first_split_from_the_record_that_is_not_accepted() -> None:
    window = resumed(3)
    assert (window.position, window.accepted) == (7, 3)
    assert ranges(window.admit(SPLIT, 10, position=8)) == [(3, TO_THE_END, "accept")]
    assert ranges(window.restart()) == [(3, TO_THE_END, "accept")]
    assert not window.room(), "nobody knows yet where the next split begins"
    came(window, 3, 5, more=True)
    assert window.room()
    came(window, 5, 6)
    assert (window.position, window.accepted) == (8, 0)
    assert ranges(window.admit(SPLIT, 10)) == [(0, TO_THE_END, "accept")]


def test_a_split_with_fewer_records_leaves_the_rest_to_the_next_one() -> None:
    window = resumed(5)
    window.admit(SPLIT, 10, position=8)
    assert came(window, 5, 2).finished
    assert (window.position, window.accepted) == (8, 3)
    assert ranges(window.admit(SPLIT, 10, position=9)) == [(3, TO_THE_END, "accept")]
    assert came(window, 3, 3).finished
    assert (window.position, window.accepted) == (9, 0)


def test_with_state_the_journal_never_stands_inside_a_split() -> None:
    window = Window(100, stateful=True)
    admitted(window, 1)
    came(window, 0, 3, more=True)
    assert window.accepted == 0
