from __future__ import annotations

import time

import pytest

from stagerunner.evaluate.failures import CallFailure
from stagerunner.evaluate.gathering import Gathering, Part, deal
from stagerunner.evaluate.outcome.pending_batch import CallOutcome
from stagerunner.evaluate.stage_api import CallListener
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form

BAD = CallFailure("ValueError", "bad")
LISTS = Form(batch=True)


def gathering(form=LISTS, **settings):
    return Gathering(Work(0, "tested", "m:f", form, **settings))


def records(parts):
    return parts and [part.records for part in parts]


def end(gathered, parts, found=None):
    """End a call: each record gives itself, unless something else is found."""
    whole = [record for part in parts for record in part.records] if found is None else found
    gathered.ended(deal(parts, whole, CallListener()))


def test_a_call_takes_the_records_of_several_batches(batch_of):
    gathered = gathering(batch=3, wait=60.0)
    gathered.begin(batch_of("a"))
    gathered.begin(batch_of())
    assert gathered.short
    assert gathered.next_call() is None
    gathered.begin(batch_of(*"bcde"))
    assert gathered.calls_waiting == 1
    assert records(gathered.next_call()) == [["a"], ["b", "c"]]
    assert gathered.next_call() is None
    gathered.hasten()
    assert records(gathered.next_call()) == [["d", "e"]]


def test_to_hasten_when_nothing_waits_does_not_hasten_what_comes(batch_of):
    gathered = gathering(batch=3, wait=60.0)
    gathered.hasten()
    gathered.begin(batch_of("a"))
    assert gathered.next_call() is None


def test_records_wait_no_longer_than_they_may(batch_of):
    gathered = gathering(batch=3, wait=0.005)
    gathered.begin(batch_of("a"))
    assert gathered.due is not None
    time.sleep(0.006)
    assert (gathered.short, gathered.due) == (False, None)
    assert records(gathered.next_call()) == [["a"]]


def test_without_the_setting_a_list_is_what_one_batch_holds(batch_of):
    gathered = gathering(on_error="skip")
    gathered.begin(batch_of(*"ab"))
    gathered.begin(batch_of(*"cd"), {(0, 0, 0): ("Killed", "SIGKILL")})
    assert [records(gathered.next_call()) for _ in range(3)] == [[["a", "b"]], [["d"]], None]


def test_other_transforms_get_one_record(batch_of):
    gathered = gathering(Form(awaited=True))
    gathered.begin(batch_of(*"ab"))
    assert gathered.calls_waiting == 2
    assert [records(gathered.next_call()) for _ in range(3)] == [[["a"]], [["b"]], None]


@pytest.mark.parametrize(("state", "length"), [(False, 1), (True, 3)])
def test_suspected_records_are_called_singly_unless_the_stage_has_state(batch_of, state, length):
    gathered = gathering(Form(batch=True, state=state), batch=3, wait=60.0)
    gathered.singly = True
    gathered.begin(batch_of(*"abc"))
    assert sum(part.size for part in gathered.next_call()) == length


def test_a_batch_is_done_when_all_its_calls_have_ended(batch_of):
    gathered = gathering(batch=2, wait=60.0)
    first, second = gathered.begin(batch_of(*"abc")), gathered.begin(batch_of("d"))
    one, two = gathered.next_call(), gathered.next_call()
    end(gathered, two)
    assert (gathered.take_done(), gathered.under_way) == ([second], 1)
    end(gathered, one)
    assert (gathered.take_done(), gathered.under_way) == ([first], 0)
    assert (first.result().records, second.result().records) == (["a", "b", "c"], ["d"])


def test_an_empty_batch_is_done_at_once(batch_of):
    gathered = gathering(batch=2, wait=60.0)
    assert gathered.take_done() == []
    empty = gathered.begin(batch_of())
    assert gathered.take_done() == [empty]


def test_a_failure_that_ends_the_run_abandons_what_follows(batch_of):
    gathered = gathering(batch=2, wait=60.0)
    before, failing, after = (gathered.begin(batch_of(*text)) for text in ("ab", "cd", "ef"))
    one, two = gathered.next_call(), gathered.next_call()
    end(gathered, two, BAD)
    assert gathered.take_done() == [after, failing]
    assert (after.abandoned, failing.abandoned, before.abandoned) == (True, False, False)
    assert gathered.next_call() is None
    later = gathered.begin(batch_of("g"))
    assert later.abandoned
    end(gathered, one)
    assert before.result().records == ["a", "b"]
    assert [failure.origin for failure in failing.result().failures] == [0]


def test_each_part_of_a_call_gets_its_own_results_and_the_last_its_counters(batch_of):
    gathered = gathering(batch=4, wait=60.0)
    first, second = gathered.begin(batch_of(*"ab")), gathered.begin(batch_of(*"cd"))
    listener = CallListener()
    listener.count("calls", 1)
    listener.enough()
    parts = gathered.next_call()

    assert deal(parts, list("ABCD"), listener) == [
        (Part(first, 0, 2), [CallOutcome(0, 2, ["A", "B"])]),
        (Part(second, 0, 2), [CallOutcome(0, 2, ["C", "D"], {"calls": 1}, enough=True)]),
    ]
    assert [outcome.found for _, (outcome,) in deal(parts, BAD, CallListener())] == [BAD, BAD]
