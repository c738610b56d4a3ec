from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Iterator

import pytest

from stagerunner.errors import Reject
from stagerunner.evaluate.stage_api import count, enough
from stagerunner.parts.stage import stage as offered


def seen(batch):
    return (batch.records, batch.origins, [(failure.origin, failure.type) for failure in batch.failures])


def test_a_function_gives_one_for_one(stage_of, batch_of):
    def shout(text, *, mark="!"):
        return text.upper() + mark

    assert stage_of(shout, options={"mark": "?"}).apply(batch_of(*"ab")).records == ["A?", "B?"]


def test_a_declared_none_drops(stage_of, batch_of):
    def even(number) -> int | None:
        return number if number % 2 == 0 else None

    batch = stage_of(even).apply(batch_of(0, 1, 2))
    assert (seen(batch), batch.counts[0].filtered) == (([0, 2], [0, 2], []), 1)


def test_an_undeclared_none_is_a_failure_and_not_retried(stage_of, batch_of):
    calls = []

    def forgot(number):
        calls.append(number)

    batch = stage_of(forgot, on_error="skip", attempts=5).apply(batch_of(7))
    assert (seen(batch), calls) == (([], [], [(0, "NoneReturned")]), [7])


def test_false_and_nothing_are_records(stage_of, batch_of):
    def truth(record):
        return bool(record)

    assert stage_of(truth).apply(batch_of(0, 1, "")).records == [False, True, False]


RAISED = [ValueError, StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit, StopAsyncIteration, MemoryError]


@pytest.mark.parametrize("error", RAISED)
def test_whatever_a_function_raises_costs_its_record(stage_of, batch_of, error):
    def picky(number):
        if number == 1:
            raise error
        return number

    batch = stage_of(picky, on_error="dead_letter").apply(batch_of(0, 1, 2))
    assert seen(batch) == ([0, 2], [0, 2], [(1, error.__name__)])


@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit])
def test_whatever_a_generator_raises_costs_its_record(stage_of, batch_of, error):
    def picky(number):
        yield number
        if number == 1:
            raise error
        yield number

    batch = stage_of(picky, on_error="skip").apply(batch_of(0, 1, 2))
    assert seen(batch) == ([0, 0, 2, 2], [0, 0, 2, 2], [(1, error.__name__)])
    assert batch.counts[0].balanced


@pytest.mark.parametrize("error", RAISED)
def test_whatever_a_batch_transform_raises_costs_its_record(stage_of, batch_of, error):
    @offered.batch
    def picky(numbers):
        if 1 in numbers:
            raise error
        return numbers

    batch = stage_of(picky, on_error="skip").apply(batch_of(0, 1, 2))
    assert seen(batch) == ([0, 2], [0, 2], [(1, error.__name__)])


def test_a_generator_gives_none_one_or_many(stage_of, batch_of):
    def repeat(number):
        for _ in range(number):
            yield number

    batch = stage_of(repeat).apply(batch_of(2, 0, 1))
    assert seen(batch) == ([2, 2, 1], [0, 0, 2], [])
    counts = batch.counts[0]
    assert (counts.taken, counts.created, counts.out, counts.filtered) == (3, 1, 3, 1)


def test_a_function_may_return_an_iterator(stage_of, batch_of):
    def letters(text) -> Iterator[str]:
        return iter(text) if text else None

    batch = stage_of(letters, on_error="skip").apply(batch_of("ab", ""))
    assert seen(batch) == (["a", "b"], [0, 0], [(1, "NoneReturned")])


def test_a_generator_never_yields_none(stage_of, batch_of):
    def holes(number):
        yield number
        yield None

    assert seen(stage_of(holes, on_error="skip").apply(batch_of(1))) == ([], [], [(0, "NoneReturned")])


def test_an_endless_generator_costs_its_record(stage_of, batch_of):
    def endless(number):
        while True:
            yield number
            if number == 1:
                return

    batch = stage_of(endless, on_error="skip", growth=100_000).apply(batch_of(1, 2, 1))
    assert seen(batch) == ([1, 1], [0, 2], [(1, "TooLarge")])


def test_a_generator_is_retried_from_its_beginning(stage_of, batch_of):
    attempts = []

    def flaky(number):
        yield number
        attempts.append(number)
        if len(attempts) < 3:
            raise OSError
        yield number

    assert stage_of(flaky, attempts=3).apply(batch_of(7)).records == [7, 7]


@pytest.mark.parametrize("most", [1, 2, None])
def test_a_batch_transform_gets_lists(stage_of, batch_of, most):
    lengths = []

    @offered.batch
    def measured(records):
        lengths.append(len(records))
        return records

    assert stage_of(measured, batch=most).apply(batch_of(*"abc")).records == ["a", "b", "c"]
    assert lengths == {1: [1, 1, 1], 2: [2, 1], None: [3]}[most]


def test_a_class_may_take_lists(stage_of, batch_of):
    class Upper:
        def process_batch(self, records):
            return [record.upper() for record in records]

    assert seen(stage_of(Upper, batch=2).apply(batch_of(*"abc"))) == (list("ABC"), None, [])


def test_a_batch_transform_may_give_a_list_for_each_record(stage_of, batch_of):
    @offered.batch(many=True)
    class Doubled:
        def process_batch(self, records):
            return [[record] * number for number, record in enumerate(records)]

    assert seen(stage_of(Doubled, batch=3).apply(batch_of(*"abc"))) == (list("bcc"), [1, 2, 2], [])


def test_none_drops_its_record_where_it_is_declared(stage_of, batch_of):
    @offered.batch
    def without_b(records) -> list[str | None]:
        return [None if record == "b" else record for record in records]

    batch = stage_of(without_b).apply(batch_of(*"abc"))
    assert (seen(batch), batch.counts[0].filtered) == ((["a", "c"], [0, 2], []), 1)


@pytest.mark.parametrize("make", [tuple, iter, deque, lambda records: (record for record in records)])
def test_a_batch_transform_may_return_any_sequence_or_iterator(stage_of, batch_of, make):
    @offered.batch
    def made(records):
        return make(records)

    assert stage_of(made).apply(batch_of(*"abc")).records == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("found", "type"),
    [
        (None, "NotAList"),
        ("ab", "NotAList"),
        ({}, "NotAList"),
        (3, "NotAList"),
        ([], "WrongLength"),
        ([1], "WrongLength"),
        ([1, 2, 3], "WrongLength"),
        ([None, None], "NoneReturned"),
    ],
)
def test_a_batch_transform_that_returns_something_else_fails(stage_of, batch_of, found, type):
    calls = []

    @offered.batch
    def wrong(records):
        calls.append(records)
        return found

    stage = stage_of(wrong, on_error="skip", attempts=3)
    assert seen(stage.apply(batch_of(1, 2))) == ([], [], [(0, type), (1, type)])
    assert calls == [[1, 2]], "a list of one record could look right"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([1], "returned 1 result for 2 records; a batch transform gives one for each, in order"),
        (iter("abcde"), "returned more than 2 results for 2 records"),
    ],
)
def test_a_list_of_another_length_says_so(stage_of, batch_of, found, says):
    @offered.batch
    def wrong(records):
        return found

    assert says in stage_of(wrong).apply(batch_of(1, 2)).failures[0].message


@pytest.mark.parametrize("found", [[1, 2], ["ab", []], [[], None]])
def test_with_many_each_result_is_a_list(stage_of, batch_of, found):
    @offered.batch(many=True)
    def wrong(records):
        return [found[record] for record in records]

    batch = stage_of(wrong, on_error="skip").apply(batch_of(0, 1))
    assert batch.failures
    assert batch.records == []


def test_an_endless_batch_transform_ends(stage_of, batch_of):
    @offered.batch
    def endless(records):
        while True:
            yield "x" * 1000

    assert stage_of(endless, on_error="skip").apply(batch_of(1)).failures[0].type == "WrongLength"


def test_an_endless_list_of_results_ends(stage_of, batch_of):
    @offered.batch(many=True)
    def endless(records):
        yield ("x" * 1000 for _ in itertools.count())

    assert stage_of(endless, on_error="skip", growth=10_000).apply(batch_of(1)).failures[0].type == "TooLarge"


def test_a_failed_list_is_called_record_by_record_and_counted_once(stage_of, batch_of):
    lists = []

    @offered.batch
    def picky(records):
        lists.append("".join(records))
        count("seen", len(records))
        if "x" in records:
            enough()
            raise Reject("no x")
        return records

    batch = stage_of(picky, batch=3, on_error="skip").apply(batch_of(*"axcde"))
    assert lists == ["axc", "a", "x"]
    assert (batch.records, batch.stop, batch.last) == (["a"], True, 2)
    lists.clear()
    assert stage_of(picky, batch=3, on_error="fail").apply(batch_of(*"axcde")).counts[0].extra == {"seen": 2}


def test_a_list_that_failed_leaves_no_counters(stage_of, batch_of):
    @offered.batch
    def once(records):
        count("seen", len(records))
        if len(records) > 1:
            enough()
            raise ValueError
        return records

    batch = stage_of(once, batch=2).apply(batch_of(*"abc"))
    assert (batch.records, batch.stop, batch.counts[0].extra) == (["a", "b", "c"], False, {"seen": 3})


def test_in_a_stage_with_state_a_list_fails_whole(stage_of, batch_of):
    class Summing:
        def __init__(self):
            self.calls = 0

        def process_batch(self, records):
            self.calls += 1
            if self.calls == 1:
                raise ValueError
            return records

        def flush(self):
            yield self.calls

    stage = stage_of(Summing, batch=2, on_error="skip")
    assert seen(stage.apply(batch_of(*"abc"))) == (["c"], [2], [(0, "ValueError"), (1, "ValueError")])
    assert next(stage.flush()).records == [2]
    assert stage_of(Summing, batch=2, attempts=2).apply(batch_of(*"abc")).records == ["a", "b", "c"]


def test_a_list_that_fails_whole_ends_the_run_at_its_first_record(stage_of, batch_of):
    class Failing:
        def process_batch(self, records):
            raise ValueError

        def flush(self):
            pass

    batch = stage_of(Failing).apply(batch_of(*"abc"))
    assert (seen(batch), batch.last) == (([], None, [(0, "ValueError")]), 0)
    assert (batch.counts[0].dead, batch.counts[0].not_processed) == (0, 3)


def test_retries_are_counted_and_a_reject_is_not_retried(stage_of, batch_of):
    calls = []

    def failing(error):
        calls.append(error)
        raise error("no")

    batch = stage_of(failing, attempts=3, on_error="skip").apply(batch_of(Reject, OSError))
    assert [(failure.type, failure.attempts) for failure in batch.failures] == [("Reject", 1), ("OSError", 3)]
    assert calls == [Reject, OSError, OSError, OSError]


def test_the_frames_are_those_of_user_code(stage_of, batch_of):
    def deeper(record):
        return record["missing"]

    def outer(record):
        return deeper(record)

    (failure,) = stage_of(outer, on_error="skip").apply(batch_of({})).failures
    assert [(frame.file, frame.function) for frame in failure.frames] == [(__file__, "outer"), (__file__, "deeper")]


def test_a_failure_ends_the_run_where_it_is(stage_of, batch_of):
    called = []

    def picky(record):
        called.append(record)
        return 1 / record

    batch = stage_of(picky).apply(batch_of(1, 0, 2, 0, first=10))
    assert (called, seen(batch), batch.last) == ([1, 0], ([1.0], None, [(11, "ZeroDivisionError")]), 11)
    counts = batch.counts[0]
    assert (counts.taken, counts.out, counts.dead, counts.not_processed) == (4, 1, 0, 3)


def test_enough_ends_the_batch_after_the_record(stage_of, batch_of):
    def until(record):
        if record == "b":
            enough()
        return record

    batch = stage_of(until).apply(batch_of(*"abcd"))
    assert (batch.records, batch.origins, batch.last, batch.stop) == (["a", "b"], None, 2, True)


def test_enough_may_come_with_a_dropped_record(stage_of, batch_of):
    def until(record) -> str | None:
        return enough() if record == "b" else record

    batch = stage_of(until).apply(batch_of(*"abcd"))
    counts = batch.counts[0]
    assert (batch.records, batch.last, batch.stop, counts.filtered, counts.not_processed) == (["a"], 2, True, 1, 2)


def test_enough_in_a_list_ends_the_batch_after_the_list(stage_of, batch_of):
    @offered.batch
    def until(records):
        enough()
        return records

    batch = stage_of(until, batch=2).apply(batch_of(*"abcd"))
    assert (batch.records, batch.last, batch.stop) == (["a", "b"], 2, True)


def test_what_cannot_be_pickled_passes(stage_of, batch_of):
    def locks(record):
        for _ in range(record):
            yield threading.Lock()

    assert len(stage_of(locks).apply(batch_of(100)).records) == 100


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
def test_dropped_and_failed_records_side_by_side(stage_of, batch_of, on_error):
    def picky(number: int) -> int | None:
        return None if number % 3 == 1 else 6 // number

    batch = stage_of(picky, on_error=on_error).apply(batch_of(3, 0, 1, 2, 0, 4, first=10))
    assert (batch.records, batch.origins) == ([2, 3], [10, 13])
    assert [failure.origin for failure in batch.failures] == [11, 14]
    (counts,) = batch.counts
    assert (counts.taken, counts.out, counts.filtered, counts.skipped + counts.dead) == (6, 2, 2, 2)


def test_a_failure_ends_a_filter_where_it_is(stage_of, batch_of):
    called = []

    def picky(number: int) -> int | None:
        called.append(number)
        return 6 // number if number % 2 == 0 else None

    batch = stage_of(picky).apply(batch_of(1, 2, 3, 0, 4))
    assert called == [1, 2, 3, 0]
    assert (batch.records, batch.origins, batch.last) == ([3], [1], 3)
    assert batch.counts[0].balanced
