from __future__ import annotations

import pytest

from stagerunner.delivery.books import GONE, Books, as_row
from stagerunner.engines.carrying import carried
from stagerunner.journal import frozen, thawed
from stagerunner.records import SOURCE, Counts

BEFORE = ["strict", "sum"]


def row(**changes):
    """Of ten records a chain of two stages took, `strict` let two fall; `sum` has state, and one failure of `strict`'s
    is dead."""
    books = [
        Counts(SOURCE, taken=10, out=10),
        Counts(0, taken=10, filtered=2, dead=1, out=7),
        Counts(1, taken=7, out=7, extra={"seen": 7}),
        Counts(2, taken=7, out=7),
    ]
    return {
        "order": BEFORE,
        "position": 10,
        "sink": 70,
        "books": [as_row(entry) for entry in books],
        "failures": {"0": 1},
        "snapshots": frozen({1: "state of sum"}),
        "stopped": None,
    } | changes


def test_the_row_of_the_same_chain_stays_as_it_is():
    assert carried(row(), BEFORE) == row()


def test_a_stage_keeps_its_books_its_state_and_its_failures_wherever_it_stands_now():
    now = carried(row(stopped=1), ["sum", "new", "strict"])

    assert (now["position"], now["sink"], now["stopped"]) == (10, 70, 0)
    assert now["order"] == ["sum", "new", "strict"]
    assert thawed(now["snapshots"]) == {0: "state of sum"}
    assert now["failures"] == {"2": 1}
    assert {entry[0]: entry[3] for entry in now["books"]} == {SOURCE: 10, 0: 7, 2: 7, 3: 7, GONE: 0}


def test_what_a_stage_did_that_is_no_more_stays_booked():
    now = carried(row(stopped=0), ["sum"])

    assert (now["stopped"], now["failures"], thawed(now["snapshots"])) == (None, {}, {0: "state of sum"})
    books = Books(1, sink=True)
    books.restore(now["books"])
    fates = {"out": 7, "filtered": 2, "skipped": 0, "dead": 1, "not_processed": 0}
    assert books.records() == {"in": 10, "created": 0} | fates
    assert books.balanced


@pytest.mark.parametrize("now", [["sum"], ["strict", "new", "sum"], ["sum", "strict"], []])
def test_books_balance_from_there_on_and_a_mistake_is_still_noticed(now):
    once = carried(row(), now)
    twice = carried(once, [*now, "last"])
    books = Books(len(now) + 1, sink=True)
    books.restore(twice["books"])
    assert books.balanced

    books.add([Counts(stage, taken=5, out=5) for stage in range(SOURCE, len(now) + 2)])
    assert books.balanced
    books.add([Counts(SOURCE, taken=1, out=1)])
    assert not books.balanced
