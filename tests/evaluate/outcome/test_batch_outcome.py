from __future__ import annotations

import pytest

from stagerunner.evaluate.failures import CallFailure, drop
from stagerunner.evaluate.outcome.batch_outcome import BatchOutcome
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form
from stagerunner.records import DROP, Batch, Counts, Failure, Spread, divided

BAD = CallFailure("ValueError", "bad", attempts=2)


def outcome_of(batch, *, on_error="fail", counted=False, drops=True):
    return BatchOutcome(Work(3, "tested", "m:f", Form(drops=drops), on_error=on_error), batch, counted=counted)


def earlier(origin, *, stage=1, policy="dead_letter"):
    return Failure(stage, origin, 0, "KeyError", "x", policy)


def let_through(outcome, number):
    """Every record in turn is its own result."""
    outcome.results += outcome.cursor.take(number)


def test_one_result_for_each_record_needs_no_origins(batch_of):
    outcome = outcome_of(batch_of(*"abc", first=5))
    let_through(outcome, 3)
    piece = outcome.piece()
    assert (piece.records, piece.first, piece.last, piece.origins) == (["a", "b", "c"], 5, 8, None)
    assert piece.counts == [Counts(3, taken=3, out=3)]
    assert outcome.finished


def test_a_dropped_record_leaves_a_gap_in_the_origins(batch_of):
    outcome = outcome_of(batch_of(*"abc", first=5))
    let_through(outcome, 1)
    outcome.cursor.take(1)
    outcome.add_none()
    let_through(outcome, 1)
    piece = outcome.piece()
    assert (piece.records, piece.origins) == (["a", "c"], [5, 7])
    assert piece.counts == [Counts(3, taken=3, out=2, filtered=1)]


def test_one_record_left_of_each_origin_needs_no_origins(batch_of):
    outcome = outcome_of(batch_of(*"abc", origins=[0, 0, 1]))
    outcome.cursor.take(1)
    outcome.add_none()
    let_through(outcome, 2)
    assert outcome.piece().origins is None


def test_an_undeclared_none_is_a_failure(batch_of):
    outcome = outcome_of(batch_of("a"), drops=False, on_error="skip")
    outcome.cursor.take(1)
    outcome.add_none()
    (failure,) = outcome.piece().failures
    assert failure.type == "NoneReturned"
    assert "declare `-> ... | None`" in failure.message


def test_a_failure_has_all_its_fields(batch_of):
    outcome = outcome_of(batch_of(*"abc", origins=[4, 6, 6], first=4), on_error="dead_letter")
    let_through(outcome, 2)
    outcome.cursor.take(1)
    outcome.fail(2, BAD)
    (failure,) = outcome.piece().failures
    assert failure == Failure(3, 6, 1, "ValueError", "bad", "dead_letter", (), 2, "c")


@pytest.mark.parametrize(
    ("policy", "booked"), [("skip", {"skipped": 1}), ("dead_letter", {"dead": 1}), ("fail", {"not_processed": 1})]
)
def test_a_failed_record_is_counted_by_its_policy(batch_of, policy, booked):
    outcome = outcome_of(batch_of("a"), on_error=policy)
    outcome.cursor.take(1)
    outcome.fail(0, BAD)
    assert outcome.piece().counts == [Counts(3, taken=1, **booked)]


def test_a_failure_that_ends_the_run_cuts_the_batch_before_its_source_record(batch_of):
    outcome = outcome_of(batch_of(*"abcde", origins=[0, 1, 1, 1, 2]))
    let_through(outcome, 2)
    outcome.cursor.take(1)
    outcome.fail(2, BAD)
    piece = outcome.piece()
    assert (piece.records, piece.origins, piece.last, piece.stop) == (["a"], None, 1, False)
    assert [failure.origin for failure in piece.failures] == [1]
    assert piece.counts == [Counts(3, taken=5, out=1, not_processed=4)]


def test_enough_cuts_the_batch_behind_its_source_record(batch_of):
    outcome = outcome_of(batch_of(*"abcd", origins=[0, 1, 1, 2]))
    let_through(outcome, 2)
    outcome.enough()
    piece = outcome.piece()
    assert (piece.records, piece.origins, piece.last, piece.stop) == (["a", "b"], None, 2, True)
    assert piece.counts == [Counts(3, taken=4, out=2, not_processed=2)]


def test_a_failure_of_the_record_that_called_enough_ends_the_run(batch_of):
    outcome = outcome_of(batch_of(*"abc"))
    let_through(outcome, 1)
    outcome.cursor.take(1)
    outcome.enough()
    outcome.fail(1, BAD)
    assert outcome.piece().last == 1


def test_earlier_failures_behind_a_cut_are_dropped(batch_of):
    arrived = [earlier(0), earlier(2, policy="skip"), earlier(3), earlier(9, policy="fail")]
    outcome = outcome_of(batch_of("b", "c", origins=[1, 2], first=0, last=9, failures=arrived))
    let_through(outcome, 1)
    outcome.enough()
    piece = outcome.piece()
    assert piece.failures == [earlier(0)]
    assert piece.counts == [Counts(3, taken=2, out=1, not_processed=1)]


def test_counters_are_spread_by_the_record_that_counted(batch_of):
    outcome = outcome_of(batch_of(*"abc", origins=[4, 6, 6], first=4))
    for number in (1, 2, 5):
        let_through(outcome, 1)
        outcome.count("seen", number)
    (counts,) = outcome.piece().counts
    assert counts.extra == {"seen": 8}
    assert counts.spread == Spread([], [], [("seen", [4, 6, 6], [1, 2, 5])])


def test_a_failure_of_an_earlier_stage_does_not_cut_the_batch(batch_of):
    outcome = outcome_of(batch_of(*"ab", failures=[earlier(2, policy="fail")]))
    let_through(outcome, 2)
    assert outcome.piece().failures == [earlier(2, policy="fail")]


def test_pieces_divide_earlier_failures_and_counts(batch_of):
    batch = batch_of(*"abc", failures=[earlier(0), earlier(1)], counts=[Counts(1, taken=5)], stop=True, last=7)
    outcome = outcome_of(batch, counted=True)
    (record,) = outcome.cursor.take(1)
    outcome.results += [record, record]
    outcome.add_sizes([2], [0])
    one = outcome.piece()
    assert not outcome.finished
    let_through(outcome, 2)
    outcome.add_sizes([1, 1], [1, 2])
    two = outcome.piece()
    assert (one.first, one.last, two.first, two.last) == (0, 1, 1, 7)
    assert (one.failures, two.failures) == ([earlier(0)], [earlier(1)])
    assert (one.stop, two.stop) == (False, True)
    assert one.counts == [Counts(3, taken=1, created=1, out=2)]
    assert two.counts == [Counts(1, taken=5), Counts(3, taken=2, out=2)]


@pytest.mark.parametrize(
    ("found", "records", "origins", "ledger"),
    [
        ("xyz", "xyz", None, {}),
        (["x", None, "z"], "xz", [0, 2], {"filtered": 1}),
        ([None, None, None], "", [], {"filtered": 3}),
    ],
)
def test_a_list_holds_a_result_or_none_for_each_record(batch_of, found, records, origins, ledger):
    outcome = outcome_of(batch_of(*"abc"), counted=True)
    outcome.cursor.take(3)
    outcome.add_list(0, 3, list(found))
    piece = outcome.piece()
    assert (piece.records, piece.origins) == (list(records), origins)
    assert piece.counts == [Counts(3, taken=3, out=len(records), **ledger)]


def test_none_in_a_list_fails_its_record_unless_it_is_declared(batch_of):
    outcome = outcome_of(batch_of(*"abc"), counted=True, drops=False)
    outcome.cursor.take(3)
    outcome.add_list(0, 3, ["x", None, "z"])
    piece = outcome.piece()
    assert (piece.records, piece.last, [failure.origin for failure in piece.failures]) == (["x"], 1, [1])
    assert piece.counts == [Counts(3, taken=3, out=1, not_processed=2)]


def test_a_list_of_lists_holds_the_results_of_each_record(batch_of):
    work = Work(3, "tested", "m:f", Form(batch=True, many=True))
    outcome = BatchOutcome(work, batch_of(*"abc"), counted=True)
    outcome.cursor.take(3)
    outcome.add_list(0, 3, [["x", "y"], [], ["z"]])
    piece = outcome.piece()
    assert (piece.records, piece.origins) == (["x", "y", "z"], [0, 0, 2])
    assert piece.counts == [Counts(3, taken=3, created=1, out=3, filtered=1)]


def test_a_rewind_restores_the_counters(batch_of):
    outcome = outcome_of(batch_of(*"abc"))
    outcome.cursor.take(2)
    counters = outcome.counters()
    outcome.extra["hits"] = 1
    outcome.enough()
    outcome.rewind(counters, 0, 2)
    let_through(outcome, 3)
    piece = outcome.piece()
    assert (piece.stop, piece.last, piece.counts) == (False, 3, [Counts(3, taken=3, out=3)])


def test_an_empty_batch_stays_empty(batch_of):
    batch = batch_of(origins=[], first=4, last=9, failures=[earlier(5)])
    piece = outcome_of(batch).piece()
    assert piece == Batch([], 4, 9, [], [earlier(5)], [Counts(3)])


# Dropped records


def telling_of(batch, form=None, **more):
    form = form or Form(drops=True)
    return BatchOutcome(Work(0, "tested", "m:f", form, drop_reason="gave None"), batch, **more)


def test_a_dropped_record_is_told_and_counted_once(batch_of):
    outcome = telling_of(batch_of(*"abcd", origins=[4, 6, 6, 7], first=4))
    outcome.results += [*outcome.cursor.take(1), None, None, "d"]
    outcome.cursor.take(3)
    outcome.fail(2, drop("too short"))
    outcome.drop_nones()
    piece = outcome.piece()
    assert (piece.records, piece.origins) == (["a", "d"], [4, 7])
    assert piece.counts == [Counts(0, taken=4, out=2, filtered=2)]
    told = {(f.origin, f.ordinal, f.policy, f.message, f.record) for f in piece.failures}
    assert told == {(6, 0, DROP, "gave None", "b"), (6, 1, DROP, "too short", "c")}


@pytest.mark.parametrize("reason", ["", "gave None"])
def test_counts_divide_the_same_whether_drops_are_told_or_not(batch_of, reason):
    work = Work(0, "tested", "m:f", Form(many=True), drop_reason=reason)
    outcome = BatchOutcome(work, batch_of(*"abcd"), counted=True)
    outcome.results += "xxd"
    outcome.cursor.take(4)
    outcome.fail(2, drop("too short"))
    outcome.add_sizes(outcome.without_dropped(0, [2, 0, None, 1]), range(4))
    piece = outcome.piece()
    (counts,) = piece.counts
    assert counts == Counts(0, taken=4, created=1, out=3, filtered=2)
    for last, filtered, created in ((1, 0, 1), (2, 1, 1), (3, 2, 1), (4, 2, 1)):
        spreads = [(0, counts.spread)]
        _, part, _ = divided(-1, 1, 0, last, piece.failures, spreads)
        assert (part.filtered, part.created) == (filtered, created)
    assert len(piece.failures) == (2 if reason else 0)


def test_what_goes_into_a_sum_is_not_told(batch_of):
    outcome = telling_of(batch_of("a"), Form(drops=True, state=True, flushes=True))
    outcome.cursor.take(1)
    outcome.add_none()
    piece = outcome.piece()
    assert (piece.failures, piece.counts) == ([], [Counts(0, taken=1, filtered=1)])


def test_a_dropped_record_behind_a_cut_is_left_to_the_next_run(batch_of):
    outcome = telling_of(batch_of(*"abc", origins=[0, 1, 1]))
    let_through(outcome, 1)
    outcome.cursor.take(1)
    outcome.fail(1, drop("too short"))
    outcome.cursor.take(1)
    outcome.fail(2, BAD)
    piece = outcome.piece()
    assert (piece.last, [failure.policy for failure in piece.failures]) == (1, ["fail"])
