from __future__ import annotations

import pytest

from stagerunner.evaluate.failures import CallFailure
from stagerunner.evaluate.outcome.pending_batch import CallOutcome, PendingBatch
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form
from stagerunner.records import Counts

BAD = CallFailure("ValueError", "bad")


class FakeTask:
    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


def start(pending, most=1):
    """Start the next call; what stands for its task."""
    task = FakeTask()
    pending.running[pending.take(most)[0]] = task.cancel
    return task


def started(records, *, form=None, most=1, **settings):
    """A batch with all its calls running."""
    pending = PendingBatch(Work(0, "tested", "m:f", form or Form(awaited=True), **settings), records)
    while pending.waiting:
        start(pending, most)
    return pending


def end(pending, start, found, **counters):
    pending.call_ended(start, [CallOutcome(start, start + 1, found, **counters)])


def test_results_are_in_order_whatever_order_they_come_in(batch_of):
    pending = started(batch_of(*"abc"))
    for start in (2, 0, 1):
        assert not pending.done
        end(pending, start, f"r{start}", extra={"hits": 1})
    assert pending.done
    batch = pending.result()
    assert (batch.records, batch.origins) == (["r0", "r1", "r2"], None)
    assert batch.counts == [Counts(0, taken=3, out=3, extra={"hits": 3})]


def test_the_earliest_failure_ends_the_run(batch_of):
    pending = PendingBatch(Work(0, "tested", "m:f", Form(awaited=True)), batch_of(*"abcd"))
    tasks = [start(pending) for _ in range(4)]
    end(pending, 2, BAD, extra={"hits": 1})
    assert [task.cancelled for task in tasks] == [False, False, False, True]
    end(pending, 1, BAD)
    assert not pending.done
    end(pending, 0, "r0")
    assert pending.done
    batch = pending.result()
    assert (batch.records, batch.last, [failure.origin for failure in batch.failures]) == (["r0"], 1, [1])
    assert batch.counts == [Counts(0, taken=4, out=1, not_processed=3)]


def test_a_failure_before_the_record_that_called_enough_comes_first(batch_of):
    pending = started(batch_of(*"abc"))
    end(pending, 1, "r1", enough=True)
    end(pending, 0, BAD)
    batch = pending.result()
    assert (batch.records, batch.last, batch.stop) == ([], 0, False)


def test_enough_drops_the_calls_after_it(batch_of):
    pending = PendingBatch(Work(0, "tested", "m:f", Form(awaited=True)), batch_of(*"abcd"))
    for _ in range(2):
        start(pending)
    end(pending, 0, "r0", enough=True)
    assert (list(pending.waiting), pending.done) == ([], True)
    batch = pending.result()
    assert (batch.records, batch.last, batch.stop) == (["r0"], 1, True)


def test_a_skipped_failure_drops_no_calls(batch_of):
    pending = started(batch_of(*"ab"), on_error="skip")
    end(pending, 0, BAD)
    end(pending, 1, None)
    batch = pending.result()
    assert [failure.type for failure in batch.failures] == ["ValueError", "NoneReturned"]


@pytest.mark.parametrize(
    ("form", "found", "origins"),
    [
        (Form(awaited=True, drops=True), ["x", None, "y"], [0, 2]),
        (Form(awaited=True, many=True), [["x", "y"], [], []], [0, 0]),
    ],
)
def test_results_of_every_form_are_put_together(batch_of, form, found, origins):
    pending = started(batch_of(*"abc"), form=form)
    for start, given in enumerate(found):
        end(pending, start, given)
    batch = pending.result()
    assert (batch.records, batch.origins, batch.counts[0].balanced) == (["x", "y"], origins, True)


def test_lists_are_put_together(batch_of):
    pending = started(batch_of(*"abcd"), form=Form(awaited=True, batch=True, drops=True), most=2)
    pending.call_ended(2, [CallOutcome(2, 4, ["c", None])])
    pending.call_ended(0, [CallOutcome(0, 2, ["a", "b"])])
    piece = pending.result()
    assert (piece.records, piece.origins) == (["a", "b", "c"], [0, 1, 2])


def test_what_is_known_needs_no_call(batch_of):
    work = Work(0, "tested", "m:f", Form(awaited=True), on_error="skip")
    pending = PendingBatch(work, batch_of(*"abcd"), [CallOutcome(1, 2, BAD), CallOutcome(3, 4, "D")])
    assert list(pending.waiting) == [(0, 1), (2, 3)]
    for index, result in enumerate("AC"):
        start(pending)
        end(pending, 2 * index, result)
    assert (pending.result().records, pending.result().origins) == (["A", "C", "D"], [0, 2, 3])


def test_a_known_failure_that_ends_the_run_leaves_what_is_before_it(batch_of):
    pending = PendingBatch(Work(0, "tested", "m:f", Form()), batch_of(*"abcd"), [CallOutcome(2, 3, BAD)])
    assert (list(pending.waiting), pending.ended_early) == ([(0, 2)], True)


def test_a_part_of_what_waits_can_be_taken(batch_of):
    pending = PendingBatch(Work(0, "tested", "m:f", Form(batch=True)), batch_of(*"abcde"))
    assert [pending.take(3), pending.unstarted, pending.take(3), pending.unstarted] == [(0, 3), 2, (3, 5), 0]


def test_an_abandoned_batch_has_processed_nothing(batch_of):
    pending = started(batch_of(*"abc"))
    end(pending, 0, "a")
    pending.abandon()
    assert (pending.done, pending.abandoned) == (True, True)


def test_an_empty_batch_is_done(batch_of):
    assert started(batch_of()).done


def test_a_record_that_is_held_waits_for_no_call_until_it_is_released(batch_of):
    pending = PendingBatch(Work(0, "tested", "m:f", Form(awaited=True)), batch_of(*"abcd"))
    pending.hold(1)
    pending.hold(3)
    assert list(pending.waiting) == [(0, 1), (2, 3)]
    pending.take(1), pending.take(1)
    pending.call_ended(0, [CallOutcome(0, 1, "A")])
    pending.call_ended(2, [CallOutcome(2, 3, "C")])
    assert not pending.done

    pending.release(1)
    assert list(pending.waiting) == [(1, 2)]
    pending.call_ended(3, [CallOutcome(3, 4, "D")])
    pending.take(1)
    pending.call_ended(1, [CallOutcome(1, 2, "B")])
    assert pending.done
    assert pending.result().records == list("ABCD")


def test_a_record_that_nobody_wants_any_more_is_not_released(batch_of):
    pending = PendingBatch(Work(0, "tested", "m:f", Form(awaited=True)), batch_of(*"abcd"))
    pending.hold(3)
    pending.limit(2)
    pending.release(3)
    assert list(pending.waiting) == [(0, 2)]


def test_a_halt_leaves_what_was_called_and_cuts_before_the_rest(batch_of):
    pending = PendingBatch(Work(0, "tested", "m:f", Form(awaited=True)), batch_of(*"abcde", origins=[0, 1, 2, 2, 3]))
    for _ in range(3):
        start(pending)
    pending.halt()
    assert not pending.done
    for index in (2, 0, 1):
        end(pending, index, f"r{index}")
    assert pending.done
    piece = pending.result()
    assert (piece.records, piece.last, piece.halted) == (["r0", "r1"], 2, True)  # of source record 2 a part is missing


def test_a_part_has_what_ended_in_order_and_the_result_has_the_rest(batch_of):
    pending = started(batch_of(*"abcd", origins=[0, 1, 1, 2]))
    end(pending, 1, "r1")
    assert pending.part() is None  # the first one is missing
    end(pending, 0, "r0")
    assert pending.part() is None  # source record 1 has another record
    end(pending, 2, "r2", extra={"hits": 1})
    part = pending.part()
    assert (part.records, part.first, part.last) == (["r0", "r1", "r2"], 0, 2)
    assert part.counts == [Counts(0, taken=3, out=3, extra={"hits": 1})]
    assert pending.part() is None
    end(pending, 3, "r3")
    assert pending.part() is None  # the rest is the result
    rest = pending.result()
    assert (rest.records, rest.first, rest.last) == (["r3"], 2, 3)
