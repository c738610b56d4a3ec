from __future__ import annotations

import pytest

from stagerunner.evaluate.flights import Flight, Outcome
from stagerunner.evaluate.policy import Trouble
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form
from stagerunner.records import Counts

BAD = Trouble("ValueError", "bad")


class FakeTask:
    def __init__(self):
        self.cancelled = False

    def cancel(self):
        self.cancelled = True


def flying(records, *, form=None, **settings):
    """A flight with all its calls under way."""
    flight = Flight(Work(0, "tested", "m:f", form or Form(awaited=True), **settings), records, {})
    while flight.waiting:
        flight.under_way[flight.waiting.popleft()[0]] = FakeTask()
    return flight


def end(flight, start, found, **said):
    flight.ended(start, [Outcome(start, start + 1, found, **said)])


def test_results_are_in_order_whatever_order_they_come_in(batch_of):
    flight = flying(batch_of(*"abc"))
    for start in (2, 0, 1):
        assert not flight.landed
        end(flight, start, f"r{start}", extra={"hits": 1})
    assert flight.landed
    batch = flight.result()
    assert (batch.records, batch.origins) == (["r0", "r1", "r2"], None)
    assert batch.counts == [Counts(0, taken=3, out=3, extra={"hits": 3})]


def test_the_earliest_failure_ends_the_run(batch_of):
    flight = flying(batch_of(*"abcd"))
    tasks = dict(flight.under_way)
    end(flight, 2, BAD, extra={"hits": 1})
    assert [tasks[start].cancelled for start in range(4)] == [False, False, False, True]
    end(flight, 1, BAD)
    assert not flight.landed
    end(flight, 0, "r0")
    assert flight.landed
    batch = flight.result()
    assert (batch.records, batch.last, [failure.origin for failure in batch.failures]) == (["r0"], 1, [1])
    assert batch.counts == [Counts(0, taken=4, out=1, not_processed=3)]


def test_a_failure_before_the_one_that_had_enough_comes_first(batch_of):
    flight = flying(batch_of(*"abc"))
    end(flight, 1, "r1", enough=True)
    end(flight, 0, BAD)
    batch = flight.result()
    assert (batch.records, batch.last, batch.stop) == ([], 0, False)


def test_enough_gives_up_the_calls_behind_it(batch_of):
    flight = Flight(Work(0, "tested", "m:f", Form(awaited=True)), batch_of(*"abcd"), {})
    for _ in range(2):
        flight.under_way[flight.waiting.popleft()[0]] = FakeTask()
    end(flight, 0, "r0", enough=True)
    assert (list(flight.waiting), flight.landed) == ([], True)
    batch = flight.result()
    assert (batch.records, batch.last, batch.stop) == (["r0"], 1, True)


def test_a_failure_that_costs_its_record_gives_up_nothing(batch_of):
    flight = flying(batch_of(*"ab"), on_error="skip")
    end(flight, 0, BAD)
    end(flight, 1, None)
    batch = flight.result()
    assert [failure.type for failure in batch.failures] == ["ValueError", "NoneReturned"]


@pytest.mark.parametrize(
    ("form", "found", "origins"),
    [
        (Form(awaited=True, drops=True), ["x", None, "y"], [0, 2]),
        (Form(awaited=True, many=True), [["x", "y"], [], []], [0, 0]),
    ],
)
def test_every_form_is_put_together(batch_of, form, found, origins):
    flight = flying(batch_of(*"abc"), form=form)
    for start, given in enumerate(found):
        end(flight, start, given)
    batch = flight.result()
    assert (batch.records, batch.origins, batch.counts[0].balanced) == (["x", "y"], origins, True)


def test_lists_are_put_together(batch_of):
    flight = flying(batch_of(*"abcd"), form=Form(awaited=True, batch=True), batch=2)
    flight.ended(2, [Outcome(2, 4, ["cd"])])
    flight.ended(0, [Outcome(0, 2, ["a", "b"])])
    assert (flight.result().records, flight.result().origins) == (["a", "b", "cd"], [0, 1, 3])


def test_an_empty_batch_has_landed(batch_of):
    assert flying(batch_of()).landed
