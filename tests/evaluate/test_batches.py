from __future__ import annotations

import pytest

from stagerunner.evaluate.batches import BatchOutcome, relieved
from stagerunner.evaluate.policy import Trouble
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form
from stagerunner.records import Batch, Counts, Failure

BAD = Trouble("ValueError", "bad", attempts=2)


def outcome_of(batch, *, on_error="fail", counted=False, drops=True):
    return BatchOutcome(Work(3, "tested", "m:f", Form(drops=drops), on_error=on_error), batch, counted=counted)


def earlier(origin, *, stage=1, policy="dead_letter"):
    return Failure(stage, origin, 0, "KeyError", "x", policy)


def let_through(batch_outcome, number):
    """Every record in turn is its own result."""
    batch_outcome.results += batch_outcome.cursor.take(number)


def test_one_result_for_each_record_needs_no_origins(batch_of):
    batch_outcome = outcome_of(batch_of(*"abc", first=5))
    let_through(batch_outcome, 3)
    piece = batch_outcome.piece()
    assert (piece.records, piece.first, piece.last, piece.origins) == (["a", "b", "c"], 5, 8, None)
    assert piece.counts == [Counts(3, taken=3, out=3)]
    assert batch_outcome.finished


def test_a_dropped_record_leaves_a_gap_in_the_origins(batch_of):
    batch_outcome = outcome_of(batch_of(*"abc", first=5))
    let_through(batch_outcome, 1)
    batch_outcome.cursor.take(1)
    batch_outcome.nothing()
    let_through(batch_outcome, 1)
    piece = batch_outcome.piece()
    assert (piece.records, piece.origins) == (["a", "c"], [5, 7])
    assert piece.counts == [Counts(3, taken=3, out=2, filtered=1)]


def test_a_sibling_dropped_may_leave_one_each(batch_of):
    batch_outcome = outcome_of(batch_of(*"abc", origins=[0, 0, 1]))
    batch_outcome.cursor.take(1)
    batch_outcome.nothing()
    let_through(batch_outcome, 2)
    assert batch_outcome.piece().origins is None


def test_an_undeclared_none_is_a_failure(batch_of):
    batch_outcome = outcome_of(batch_of("a"), drops=False, on_error="skip")
    batch_outcome.cursor.take(1)
    batch_outcome.nothing()
    (failure,) = batch_outcome.piece().failures
    assert failure.type == "NoneReturned"
    assert "declare `-> ... | None`" in failure.message


def test_a_failure_says_everything(batch_of):
    batch_outcome = outcome_of(batch_of(*"abc", origins=[4, 6, 6], first=4), on_error="dead_letter")
    let_through(batch_outcome, 2)
    batch_outcome.cursor.take(1)
    batch_outcome.lost(2, BAD)
    (failure,) = batch_outcome.piece().failures
    assert failure == Failure(3, 6, 1, "ValueError", "bad", "dead_letter", (), 2, "c")


@pytest.mark.parametrize(
    ("policy", "booked"), [("skip", {"skipped": 1}), ("dead_letter", {"dead": 1}), ("fail", {"not_processed": 1})]
)
def test_a_lost_record_is_booked_by_its_policy(batch_of, policy, booked):
    batch_outcome = outcome_of(batch_of("a"), on_error=policy)
    batch_outcome.cursor.take(1)
    batch_outcome.lost(0, BAD)
    assert batch_outcome.piece().counts == [Counts(3, taken=1, **booked)]


def test_a_failure_that_ends_the_run_cuts_the_batch_before_its_source_record(batch_of):
    batch_outcome = outcome_of(batch_of(*"abcde", origins=[0, 1, 1, 1, 2]))
    let_through(batch_outcome, 2)
    batch_outcome.cursor.take(1)
    batch_outcome.lost(2, BAD)
    piece = batch_outcome.piece()
    assert (piece.records, piece.origins, piece.last, piece.stop) == (["a"], None, 1, False)
    assert [failure.origin for failure in piece.failures] == [1]
    assert piece.counts == [Counts(3, taken=5, out=1, not_processed=4)]


def test_enough_cuts_the_batch_behind_its_source_record(batch_of):
    batch_outcome = outcome_of(batch_of(*"abcd", origins=[0, 1, 1, 2]))
    let_through(batch_outcome, 2)
    batch_outcome.enough()
    piece = batch_outcome.piece()
    assert (piece.records, piece.origins, piece.last, piece.stop) == (["a", "b"], None, 2, True)
    assert piece.counts == [Counts(3, taken=4, out=2, not_processed=2)]


def test_a_failure_on_the_record_that_had_enough_ends_the_run_all_the_same(batch_of):
    batch_outcome = outcome_of(batch_of(*"abc"))
    let_through(batch_outcome, 1)
    batch_outcome.cursor.take(1)
    batch_outcome.enough()
    batch_outcome.lost(1, BAD)
    assert batch_outcome.piece().last == 1


def test_the_records_of_earlier_failures_behind_a_cut_are_not_processed(batch_of):
    arrived = [earlier(0), earlier(2, policy="skip"), earlier(3), earlier(9, policy="fail")]
    ledger = [Counts(0, taken=10, out=10), Counts(1, taken=10, out=6, skipped=1, dead=2, not_processed=1)]
    batch = batch_of("b", "c", origins=[1, 2], first=0, last=9, failures=arrived, counts=ledger)
    batch_outcome = outcome_of(batch)
    let_through(batch_outcome, 1)
    batch_outcome.enough()
    piece = batch_outcome.piece()
    assert piece.failures == [earlier(0)]
    assert piece.counts == [
        Counts(0, taken=10, out=10),
        Counts(1, taken=10, out=6, not_processed=3, dead=1),
        Counts(3, taken=2, out=1, not_processed=1),
    ]
    assert ledger[1].dead == 2, "the incoming books are left as they are"


def test_a_failure_that_ends_the_run_elsewhere_stays_with_a_batch_that_is_not_cut(batch_of):
    batch_outcome = outcome_of(batch_of(*"ab", failures=[earlier(2, policy="fail")]))
    let_through(batch_outcome, 2)
    assert batch_outcome.piece().failures == [earlier(2, policy="fail")]


def test_pieces_share_out_what_came_with_the_batch(batch_of):
    batch = batch_of(*"abc", failures=[earlier(0), earlier(1)], counts=[Counts(1, taken=5)], stop=True, last=7)
    batch_outcome = outcome_of(batch, counted=True)
    (record,) = batch_outcome.cursor.take(1)
    batch_outcome.results += [record, record]
    batch_outcome.gave([2], [0])
    one = batch_outcome.piece()
    assert not batch_outcome.finished
    let_through(batch_outcome, 2)
    batch_outcome.gave([1, 1], [1, 2])
    two = batch_outcome.piece()
    assert (one.first, one.last, two.first, two.last) == (0, 1, 1, 7)
    assert (one.failures, two.failures) == ([earlier(0)], [earlier(1)])
    assert (one.stop, two.stop) == (False, True)
    assert one.counts == [Counts(3, taken=1, created=1, out=2)]
    assert two.counts == [Counts(1, taken=5), Counts(3, taken=2, out=2)]


@pytest.mark.parametrize(
    ("found", "origins", "ledger"),
    [
        ("xyz", None, {}),
        ("xy", [2, 2], {"filtered": 1}),
        ("", [], {"filtered": 3}),
        ("vwxyz", [2, 2, 2, 2, 2], {"created": 2}),
    ],
)
def test_a_list_of_another_length_belongs_to_its_last_source_record(batch_of, found, origins, ledger):
    batch_outcome = outcome_of(batch_of(*"abc"), counted=True)
    batch_outcome.cursor.take(3)
    batch_outcome.gave_list(0, 3, list(found))
    piece = batch_outcome.piece()
    assert (piece.records, piece.origins) == (list(found), origins)
    assert piece.counts == [Counts(3, taken=3, out=len(found), **ledger)]


def test_what_was_said_can_be_taken_back(batch_of):
    batch_outcome = outcome_of(batch_of(*"abc"))
    batch_outcome.cursor.take(2)
    said = batch_outcome.said()
    batch_outcome.extra["hits"] = 1
    batch_outcome.enough()
    batch_outcome.unsay(said, 0, 2)
    let_through(batch_outcome, 3)
    piece = batch_outcome.piece()
    assert (piece.stop, piece.last, piece.counts) == (False, 3, [Counts(3, taken=3, out=3)])


def test_an_empty_batch_stays_what_it_is(batch_of):
    batch = batch_of(origins=[], first=4, last=9, failures=[earlier(5)])
    piece = outcome_of(batch).piece()
    assert piece == Batch([], 4, 9, [], [earlier(5)], [Counts(3)])


def test_the_ledger_without_dropped_failures_are_passed_on():
    ledger = [Counts(0, taken=1, out=1)]
    assert relieved(ledger, []) is ledger
