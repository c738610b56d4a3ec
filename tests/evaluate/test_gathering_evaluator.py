from __future__ import annotations

import os

import pytest

from stagerunner.evaluate.gathering_evaluator import GatheringEvaluator
from stagerunner.evaluate.stage_api import count
from stagerunner.parts.stage import stage as offered


def done(stage):
    """The results of all batches under way, in the order in which they began."""
    found = []
    while stage.under_way:
        stage.gathering.hasten()
        found += stage.poll()
    return [pending.result() for pending in sorted(found, key=lambda pending: pending.number)]


@pytest.fixture
def lists():
    return []


@pytest.fixture
def noting(lists):
    """A batch transform that notes its lists, and fails for a list with an x."""

    @offered.batch
    def note(records):
        lists.append("".join(records))
        count("seen", len(records))
        if "x" in records:
            raise ValueError("x")
        return records

    return note


def test_only_the_setting_makes_a_stage_gather(stage_of, noting):
    assert isinstance(stage_of(noting, batch=3, wait=1.0), GatheringEvaluator)
    assert not isinstance(stage_of(noting, batch=3), GatheringEvaluator)


def test_it_makes_one_call_at_a_time_once_its_list_is_full(stage_of, batch_of, noting, lists):
    stage = stage_of(noting, batch=3, wait=60.0)
    assert stage.room() == 1
    stage.begin(batch_of(*"ab"))
    assert stage.room() == 1
    stage.begin(batch_of(*"cdefg"))
    assert stage.room() == 0
    stage.poll()
    assert lists == ["abc"]
    assert [batch.records for batch in done(stage)] == [["c", "d", "e", "f", "g"]]
    assert lists == ["abc", "def", "g"]


def test_a_failed_list_is_called_record_by_record_across_batches(stage_of, batch_of, noting, lists):
    stage = stage_of(noting, batch=4, wait=60.0, on_error="skip")
    stage.begin(batch_of(*"ax"))
    stage.begin(batch_of(*"bc"))
    first, second = done(stage)
    assert lists == ["axbc", "a", "x", "b", "c"]
    assert (first.records, second.records) == (["a"], ["b", "c"])
    assert (first.counts[0].extra, second.counts[0].extra) == ({"seen": 2}, {"seen": 2})


def test_behind_the_record_that_ends_the_run_nothing_is_called(stage_of, batch_of, noting, lists):
    stage = stage_of(noting, batch=4, wait=60.0)
    stage.begin(batch_of(*"ax"))
    second = stage.begin(batch_of(*"bc"))
    assert done(stage)[0].records == ["a"]
    assert lists == ["axbc", "a", "x"]
    assert second.abandoned


def test_with_state_a_list_fails_whole(stage_of, batch_of):
    class Failing:
        def process_batch(self, records):
            raise ValueError

        def flush(self):
            return []

    stage = stage_of(Failing, batch=4, wait=60.0, on_error="skip")
    stage.begin(batch_of(*"a"))
    stage.begin(batch_of(*"bc"))
    assert [len(batch.failures) for batch in done(stage)] == [1, 2]


def test_a_failed_call_is_retried(stage_of, batch_of):
    calls = []

    @offered.batch
    def second_time(records):
        calls.append(len(records))
        if calls.count(1) < 2:
            raise OSError
        return records

    stage = stage_of(second_time, batch=4, wait=60.0, attempts=2, delay=0.0)
    stage.begin(batch_of(*"ab"))
    assert [batch.records for batch in done(stage)] == [["a", "b"]]
    assert calls == [2, 1, 1, 1]


def test_its_call_is_noted_in_the_slot(stage_of, batch_of, noting, noted):
    stage = stage_of(noting, slot=noted, batch=4, wait=60.0)
    stage.begin(batch_of(*"ab"))
    done(stage)
    assert [call for call in noted.calls if call in (0, "left")] == [0, "left"]


def test_quarantined_records_are_in_no_list(stage_of, batch_of, noting, lists):
    stage = stage_of(noting, batch=2, wait=60.0, on_error="skip")
    stage.begin(batch_of(*"abc"), {(0, 1, 0): ("Killed", "SIGKILL")})
    (batch,) = done(stage)
    assert (lists, batch.records, [failure.origin for failure in batch.failures]) == (["ac"], ["a", "c"], [1])


def test_the_time_of_a_call_is_shared_by_records(stage_of, batch_of, noting):
    stage = stage_of(noting, batch=4, wait=60.0)
    one, three = stage.begin(batch_of("a")), stage.begin(batch_of(*"bcd"))
    stage.poll()
    assert 0 < one.work
    assert abs(three.work - 3 * one.work) <= 3


def test_a_poll_waits_for_input(stage_of, noting):
    stage = stage_of(noting, batch=4, wait=60.0)
    reading, writing = os.pipe()
    try:
        assert stage.poll(0.001, reading) == []
        assert stage.waited >= 1_000_000
        os.write(writing, b"x")
        assert stage.poll(60, reading) == []
    finally:
        os.close(reading)
        os.close(writing)
