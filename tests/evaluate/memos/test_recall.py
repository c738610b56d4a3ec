"""What is kept is known before any call, and equal records share one call."""

from __future__ import annotations

import pytest

from stagerunner import count, enough, stage
from stagerunner.evaluate.async_evaluator import make_evaluator
from stagerunner.evaluate.work import MemoSpec
from stagerunner.records import HITS, RECALLED


@pytest.fixture
def spec(tmp_path):
    return MemoSpec(str(tmp_path / "kept"), b"version")


@pytest.fixture
def made(work_of, spec):
    """A stage with a memo, and the lists or records that it was called with."""
    stages = []

    def make(found, **settings):
        evaluator = make_evaluator(work_of(found, memo=spec, **settings))
        stages.append(evaluator)
        evaluator.setup()
        return evaluator

    yield make
    for evaluator in stages:
        evaluator.close()


def poll_all(evaluator, batches):
    """Begin all batches at once, and give their results in order."""
    pending = [evaluator.begin(batch) for batch in batches]
    while evaluator.under_way:
        evaluator.gathering.hasten()
        evaluator.poll()
    return [one.result() for one in pending]


def lister(calls):
    def lists(records):
        calls.append(list(records))
        count("seen", len(records))
        if "bad" in records:
            raise ValueError("never")
        return [record.upper() for record in records]

    return stage.batch(lists)


def test_lists_are_full_again_behind_a_suspect(made, batch_of):
    calls = []
    evaluator = made(lister(calls), batch=3, wait=5.0)
    evaluator.singly = True
    evaluator.apply(batch_of("a", "b"))
    evaluator.singly = False
    poll_all(evaluator, [batch_of("c", "d"), batch_of("e")])
    assert calls == [["a"], ["b"], ["c", "d", "e"]]


def test_a_list_holds_only_what_is_not_known_and_each_record_once(made, batch_of):
    calls = []
    evaluator = made(lister(calls), batch=10, wait=5.0)
    assert evaluator.apply(batch_of("a", "b")).records == ["A", "B"]
    assert evaluator.apply(batch_of("c", "a", "d", "c", "b", "e")).records == list("CADCBE")
    assert calls == [["a", "b"], ["c", "d", "e"]]


def test_what_is_known_takes_no_place_in_a_gathered_list(made, batch_of):
    calls = []
    evaluator = made(lister(calls), batch=3, wait=5.0)
    evaluator.apply(batch_of("x"))
    results = poll_all(evaluator, [batch_of("x", "a"), batch_of("x"), batch_of("a", "b", "x"), batch_of("c", "d")])
    assert [result.records for result in results] == [["X", "A"], ["X"], ["A", "B", "X"], ["C", "D"]]
    assert calls == [["x"], ["a", "b", "c"], ["d"]]


def test_a_batch_that_is_known_is_done_before_any_call(made, batch_of):
    evaluator = made(lister([]), batch=10, wait=5.0)
    evaluator.apply(batch_of("a", "b"))
    pending = evaluator.begin(batch_of("b", "a", "b"))
    assert pending.done
    assert evaluator.poll() == [pending]
    assert pending.result().records == ["B", "A", "B"]


def test_hits_are_counted_and_what_the_call_counted_is_counted_again(made, batch_of):
    evaluator = made(lister([]), batch=10, wait=5.0)
    assert evaluator.apply(batch_of("a", "b")).counts[-1].extra == {"seen": 2}
    assert evaluator.apply(batch_of("a", "b")).counts[-1].extra == {
        "seen": 2,
        RECALLED + "seen": 2,
        HITS: 2,
    }


def test_a_record_equal_to_one_that_fails_is_called_itself(made, batch_of):
    calls = []
    evaluator = made(lister(calls), batch=10, wait=5.0, on_error="skip")
    result = evaluator.apply(batch_of("bad", "a", "bad", "bad"))
    assert result.records == ["A"]
    assert [failure.origin for failure in result.failures] == [0, 2, 3]
    assert calls.count(["bad"]) == 3
    assert calls.count(["a"]) == 1


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_behind_a_failure_that_ends_the_run_no_twin_is_waited_for(made, batch_of, on_error):
    evaluator = made(lister([]), batch=1, wait=5.0, on_error=on_error)
    first, second = poll_all(evaluator, [batch_of("bad", "a"), batch_of("bad", "a")])
    assert (first.records, second.records) == (([], []) if on_error == "fail" else (["A"], ["A"]))


def test_a_call_that_said_enough_is_not_kept(made, batch_of):
    calls = []

    async def stopping(record):
        calls.append(record)
        if record == "b":
            enough()
        return record

    evaluator = made(stopping, concurrency=1)
    assert evaluator.apply(batch_of("a", "b", "c")).records == ["a", "b"]
    again = made(stopping, concurrency=1)
    assert again.apply(batch_of("a", "b", "c")).records == ["a", "b"]
    assert calls == ["a", "b", "b"]


def test_results_of_twins_are_no_shared_objects(made, batch_of):
    async def nested(record):
        return {"of": [record]}

    one, other = made(nested).apply(batch_of("a", "a")).records
    assert one == other
    assert one["of"] is not other["of"]


def test_a_record_without_a_key_has_no_twins(made, batch_of):
    calls = []

    async def odd(record):
        calls.append(record)
        return "odd"

    made(odd).apply(batch_of(print, print))
    assert calls == [print, print]


def test_quarantined_records_are_not_looked_up(made, batch_of):
    evaluator = made(lister([]), batch=10, wait=5.0, on_error="skip")
    evaluator.apply(batch_of("a", "b"))
    result = evaluator.apply(batch_of("a", "b", "a"), {(0, 0, 0): ("Killed", "it kills")})
    assert result.records == ["B", "A"]
    assert [failure.type for failure in result.failures] == ["Killed"]
