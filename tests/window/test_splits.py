from __future__ import annotations

from stagerunner.records import DATA, TO_THE_END
from stagerunner.window.splits import Disposition, Kept, Limit, Sent


def test_a_split_is_kept_whole_and_with_nothing_taken():
    kept = Kept(0, b"", 10)

    assert (kept.end, kept.accepted, kept.done) == (TO_THE_END, 0, False)


def test_a_frame_stands_for_its_split_to_the_end_unless_it_is_cut():
    sent = Sent(0, DATA, Kept(0, b"", 10))

    assert (sent.first, sent.last, sent.disposition) == (0, TO_THE_END, Disposition.ACCEPT)


# A limit


def test_without_a_limit_every_split_goes_whole() -> None:
    limit = Limit(None)
    assert limit.may_go(None, alone=False) == TO_THE_END
    limit.came(10**9)
    assert not limit.reached


def test_a_split_that_can_not_pass_the_limit_goes_whole() -> None:
    assert Limit(5).may_go(5, alone=False) == TO_THE_END


def test_a_split_that_might_pass_it_waits_until_it_is_alone_and_is_cut() -> None:
    limit = Limit(5)
    assert limit.may_go(6, alone=False) is None
    assert limit.may_go(6, alone=True) == 5
    assert limit.may_go(None, alone=False) is None
    assert limit.may_go(None, alone=True) == 5


def test_what_is_under_way_counts_as_if_it_were_full() -> None:
    limit = Limit(5)
    limit.sent(3)
    assert limit.may_go(3, alone=False) is None
    assert limit.may_go(2, alone=False) == TO_THE_END


def test_a_split_that_held_less_than_it_might_gives_room_back() -> None:
    limit = Limit(5)
    limit.sent(3)
    limit.came(1)
    limit.settled(3)
    assert limit.may_go(4, alone=False) == TO_THE_END


def test_a_split_of_unknown_size_takes_no_room_in_advance() -> None:
    limit = Limit(5)
    limit.sent(None)
    limit.came(4)
    limit.settled(None)
    assert limit.may_go(None, alone=True) == 1


def test_the_limit_is_reached_when_so_many_records_came() -> None:
    limit = Limit(2)
    limit.came(1)
    assert not limit.reached
    limit.came(1)
    assert limit.reached
    assert limit.may_go(None, alone=True) is None


def test_a_limit_of_none_at_all_is_reached_at_once() -> None:
    assert Limit(0).reached
