from __future__ import annotations

import pytest

from stagerunner.evaluate.stage_api import count
from stagerunner.records import Counts


class Flushing:
    def process(self, record):
        return record


def flushing(flush):
    return type("Flushing", (Flushing,), {"flush": flush})


def numbers(self):
    yield from range(5)


def test_a_flush_is_a_split_of_its_own(stage_of):
    stage = stage_of(flushing(numbers), index=2)
    stage.piece_records = 2
    batches = list(stage.flush())
    assert [(batch.records, batch.first, batch.last, batch.origins) for batch in batches] == [
        ([0, 1], 0, 2, None),
        ([2, 3], 2, 4, None),
        ([4], 4, 5, None),
    ]
    assert [batch.counts for batch in batches] == [[Counts(2, created=number, out=number)] for number in (2, 2, 1)]


@pytest.mark.parametrize(("given", "records"), [(None, []), ([], []), ([1, 2], [1, 2]), ((3,), [3])])
def test_a_flush_may_return_a_list_or_nothing(stage_of, given, records):
    (batch,) = stage_of(flushing(lambda self: given)).flush()
    assert (batch.records, batch.last) == (records, len(records))


def test_what_a_flush_counts_is_its_own(stage_of):
    def counting(self):
        for number in range(2):
            count("rows")
            yield number

    stage = stage_of(flushing(counting))
    stage.piece_records = 1
    assert [batch.counts[0].extra for batch in stage.flush()] == [{"rows": 1}, {"rows": 1}, {}]


def broken(self):
    yield "first"
    raise KeyError("total")


def test_a_failing_flush_ends_the_run_after_its_results(stage_of):
    (batch,) = stage_of(flushing(broken)).flush()
    (failure,) = batch.failures
    assert (batch.records, batch.last, batch.origins) == (["first"], 1, None)
    assert (failure.origin, failure.type, failure.policy) == (1, "KeyError", "fail")
    assert batch.counts == [Counts(0, created=1, out=1)]


def test_a_failing_flush_may_cost_one_result(stage_of):
    (batch,) = stage_of(flushing(broken), on_error="skip").flush()
    assert (batch.records, batch.first, batch.last, batch.origins) == (["first"], 0, 2, [0])
    assert batch.counts == [Counts(0, created=2, out=1, skipped=1)]


@pytest.mark.parametrize(
    ("given", "type"), [({"total": 1}, "NotAList"), ("text", "NotAList"), ([1, None], "NoneReturned")]
)
def test_a_flush_that_returns_something_else_fails(stage_of, given, type):
    (batch,) = stage_of(flushing(lambda self: given)).flush()
    assert [failure.type for failure in batch.failures] == [type]


@pytest.mark.parametrize("error", [StopIteration, SystemExit, GeneratorExit])
def test_whatever_a_flush_raises_is_a_failure(stage_of, error):
    def raising(self):
        raise error

    (batch,) = stage_of(flushing(raising)).flush()
    assert batch.failures[0].type == error.__name__


def test_a_watched_flush_notes_each_result_in_the_slot(stage_of, noted):
    stage = stage_of(flushing(numbers), slot=noted)
    stage.watched, stage.piece_records = True, 3
    number = sum(len(batch.records) for batch in stage.flush())
    drawn = [call for call in noted.calls if call != "left"]
    assert drawn == list(range(number + 1))
    assert noted.calls.index("left") == 3


def test_a_quarantined_result_is_a_failure_and_ends_the_flush(stage_of):
    stage = stage_of(flushing(numbers), on_error="skip")
    stage.flush_until = 2
    first, last = stage.flush({(0, 2, 0): ("Killed", "twice"), (1, 0, 0): ("Killed", "elsewhere")})

    assert (len(first.records), first.last) == (2, 2)
    assert [(failure.origin, failure.type, failure.message) for failure in last.failures] == [(2, "Killed", "twice")]
