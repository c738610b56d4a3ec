from __future__ import annotations

import json

import pytest

from stagerunner.delivery.ledger import MANY, Ledger
from stagerunner.records import SOURCE, Counts


def kept() -> Ledger:
    """Two stages and a sink: ten in, one too many made, one filtered, one skipped, two dead."""
    ledger = Ledger(2, sinks=1)
    ledger.add([Counts(SOURCE, taken=10, out=9, dead=1), Counts(0, taken=9, created=1, out=9, filtered=1)])
    ledger.add([Counts(1, taken=9, out=8, skipped=1, extra={"hits": 4}), Counts(2, taken=8, out=7, dead=1)])
    return ledger


def lines_of(counts: Counts) -> tuple[int, ...]:
    fates = (counts.out, counts.filtered, counts.skipped, counts.dead, counts.not_processed)
    return (counts.stage, counts.taken, counts.created, *fates)


@pytest.mark.parametrize("frames", [1, MANY])
def test_lines_of_many_frames_add_up_as_their_counts_do(frames):
    one, other = Ledger(2, sinks=1), Ledger(2, sinks=1)
    counts = [Counts(SOURCE, 7, 0, 6, 0, 0, 1), Counts(0, 6, 3, 5, 1, 2, 1), Counts(1, 5, 0, 4, 1, extra={"hits": 2})]

    for _ in range(frames):
        one.add(counts)
        other.lines += map(lines_of, counts)
        other.add_extras([(1, {"hits": 2})])

    assert other.entries == one.entries
    assert other.records() == one.records()


def test_end_to_end():
    assert kept().records() == {"in": 10, "created": 1, "out": 7, "filtered": 1, "skipped": 1, "dead": 2} | {
        "not_processed": 0
    }
    assert (kept().taken, kept().out, kept().failed, kept().dead) == (10, 7, 3, 2)


def test_the_ledger_balances_when_each_stage_does_and_hands_on_all_it_gave():
    assert kept().balanced

    lost, odd = kept(), kept()
    lost.add([Counts(0, taken=1, out=1)])
    odd.add([Counts(0, filtered=1)])

    assert not lost.balanced
    assert not odd.balanced


def test_without_a_sink_the_last_stage_counts():
    ledger = Ledger(1, sinks=0)
    ledger.add([Counts(SOURCE, taken=2, out=2), Counts(0, taken=2, out=2)])

    assert ledger.out == 2
    assert ledger.balanced


def test_without_stages_the_source_counts():
    ledger = Ledger(0, sinks=0)
    ledger.add([Counts(SOURCE, taken=2, out=2)])

    assert ledger.out == 2


def test_the_ledger_go_through_the_journal():
    back = Ledger(2, sinks=1)
    back.restore(json.loads(json.dumps(kept().as_rows())))

    assert back.entries == kept().entries


def test_what_a_run_fails_with_is_told_but_not_kept():
    ledger = kept()
    before = json.dumps(ledger.as_rows())
    ledger.keep_no_more()
    ledger.add([Counts(SOURCE, taken=4, out=4), Counts(0, taken=4, not_processed=4, extra={"seen": 1})])

    assert ledger.taken == kept().taken + 4
    assert json.dumps(ledger.as_rows()) == before
