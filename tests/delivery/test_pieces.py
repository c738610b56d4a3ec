from __future__ import annotations

import pytest

from stagerunner.delivery.ledger import Ledger
from stagerunner.delivery.pieces import Pieces
from stagerunner.records import SOURCE, Counts, Failure, Spread


@pytest.fixture
def pieces():
    """Source records 0 to 5 of a split, taken in two pieces."""
    pieces = Pieces(2, sink=True)
    filters = (0, Spread([(range(6), bytes([1, 0, 1, 1, 0, 1]))], []))
    makes = (1, Spread([([0, 5], [3, 2])], [5]))
    dead = Failure(0, 3, 0, "ValueError", "bad", "dead_letter")
    pieces.took(7, -1, 0, 2, [], [filters])  # it may tell of records that come with the next
    pieces.took(7, -1, 2, 6, [dead, Failure(2, 2, 0, "TypeError", "not that", "skip")], [makes])
    return pieces


def test_the_ledger_follow_from_what_the_pieces_bring(pieces):
    assert pieces.ledger() == [
        Counts(SOURCE, taken=6, out=6),
        Counts(0, taken=6, out=3, filtered=2, dead=1),
        Counts(1, taken=3, created=3, out=5, not_processed=1),
        Counts(2, taken=5, out=4, skipped=1),
    ]


def test_what_is_in_the_ledger_is_not_counted_again(pieces):
    pieces.booked(7, 2)

    assert pieces.ledger() == [
        Counts(SOURCE, taken=4, out=4),
        Counts(0, taken=4, out=2, filtered=1, dead=1),
        Counts(1, taken=2, created=1, out=2, not_processed=1),
        Counts(2, taken=2, out=1, skipped=1),
    ]


def test_of_another_split_nothing_is_known_to_be_in_the_ledger(pieces):
    before = pieces.ledger()
    pieces.booked(6, 100)

    assert pieces.ledger() == before


def test_once_a_frame_has_brought_its_the_ledger_nothing_is_left(pieces):
    pieces.booked(7, 6)

    assert pieces.ledger() == []


def test_a_flush_makes_its_records_where_its_stage_is():
    pieces = Pieces(3, sink=False)
    pieces.took(2**48 + 1, 1, 0, 3, [Failure(1, 2, 0, "ValueError", "bad", "skip")], [])

    assert pieces.ledger() == [Counts(1, created=3, out=2, skipped=1), Counts(2, taken=2, out=2)]


def test_the_ledger_with_more_leave_those_that_are_committed_as_they_are(pieces):
    ledger = Ledger(2, sink=True)
    ledger.add([Counts(SOURCE, 1, out=1), Counts(0, 1, out=1, extra={"hits": 1}), Counts(1, 1, out=1)])
    ledger.add([Counts(2, 1, out=1)])

    more = ledger.with_more(pieces.ledger())

    assert (ledger.out, more.out, more.dead) == (1, 5, 1)
    assert more.balanced
    assert more.entries[0].extra == {"hits": 1}
    assert ledger.with_more([]) is ledger
