from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from stagerunner.errors import Reject
from stagerunner.evaluate.stage_api import count, enough
from stagerunner.parts.stage import stage as offered


async def same(record):
    return record


def seen(batch):
    return (batch.records, batch.origins, [(failure.origin, failure.type) for failure in batch.failures])


def all_done(stage):
    """What all batches under way become, in the order in which they began."""
    done = []
    while stage.under_way:
        done += stage.poll()
    return [pending.result() for pending in sorted(done, key=lambda pending: pending.number)]


class Meeting:
    """Calls of a test that wait until so many of them are there at once."""

    def __init__(self, number):
        self.number = number
        self.here = self.most = 0
        self.all_here = asyncio.Event()

    async def wait(self):
        self.here += 1
        self.most = max(self.most, self.here)
        if self.here >= self.number:
            self.all_here.set()
        await self.all_here.wait()
        self.here -= 1


def test_results_are_in_order_however_long_they_take(stage_of, batch_of):
    async def backwards(number):
        for _ in range(10 - number):
            await asyncio.sleep(0)
        return number

    assert seen(stage_of(backwards).apply(batch_of(*range(10)))) == (list(range(10)), None, [])


def test_no_more_calls_run_at_once_than_allowed(stage_of, batch_of):
    meeting = Meeting(4)

    async def met(record):
        await meeting.wait()
        return record

    assert stage_of(met, concurrency=4).apply(batch_of(*"abcdefghij")).records == list("abcdefghij")
    assert meeting.most == 4


def test_batches_overlap(stage_of, batch_of):
    meeting = Meeting(3)

    async def met(record):
        await meeting.wait()
        return record

    stage = stage_of(met, concurrency=4)
    assert stage.room() == 4
    stage.begin(batch_of("a", "b"))
    assert (stage.room(), stage.under_way) == (2, 1)
    stage.begin(batch_of("c", first=2))
    assert (stage.room(), stage.under_way) == (1, 2)
    done = all_done(stage)
    assert [(batch.records, batch.first) for batch in done] == [(["a", "b"], 0), (["c"], 2)]
    assert (stage.room(), stage.under_way, stage.poll()) == (4, 0, [])


def test_waiting_calls_take_up_room(stage_of, batch_of):
    stage = stage_of(same, concurrency=2)
    stage.begin(batch_of(*"abc"))
    assert stage.room() == 0


def test_a_poll_ends_after_its_timeout(stage_of, batch_of):
    async def stuck(record):
        await asyncio.Event().wait()

    stage = stage_of(stuck)
    stage.begin(batch_of("a"))
    assert stage.poll(0) == []
    assert stage.poll(0.001) == []
    assert stage.under_way == 1


def test_a_poll_ends_when_its_descriptor_is_readable(stage_of, batch_of):
    async def stuck(record):
        await asyncio.Event().wait()

    stage = stage_of(stuck)
    reading, writing = os.pipe()
    try:
        os.write(writing, b"x")
        assert stage.poll(60, inbound=reading) == []
        stage.begin(batch_of("a"))
        assert stage.poll(60, inbound=reading) == []
    finally:
        os.close(reading)
        os.close(writing)


def test_apply_is_refused_while_batches_are_under_way(stage_of, batch_of):
    stage = stage_of(same)
    stage.begin(batch_of("a"))
    with pytest.raises(RuntimeError, match="under way"):
        stage.apply(batch_of("b"))


def test_an_empty_batch_is_done_at_once(stage_of, batch_of):
    assert stage_of(same).apply(batch_of()).records == []


def test_there_is_only_one_piece(stage_of, batch_of):
    assert [piece.records for piece in stage_of(same).pieces(batch_of(1, 2))] == [[1, 2]]


def test_what_a_call_counts_stays_with_its_batch(stage_of, batch_of):
    async def counted(record):
        await asyncio.sleep(0)
        count(record)
        return record

    stage = stage_of(counted)
    stage.begin(batch_of("a", "a"))
    stage.begin(batch_of("b"))
    done = all_done(stage)
    assert [batch.counts[0].extra for batch in done] == [{"a": 2}, {"b": 1}]


def test_calls_behind_a_cut_are_not_counted(stage_of, batch_of):
    async def until(number):
        count("calls")
        if number == 1:
            enough()
        return number

    batch = stage_of(until).apply(batch_of(*range(5)))
    assert (batch.records, batch.last, batch.stop) == ([0, 1], 2, True)
    assert batch.counts[0].extra == {"calls": 2}


@pytest.mark.parametrize("error", [OSError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_whatever_a_call_raises_costs_its_record(stage_of, batch_of, error):
    async def picky(number):
        if number == 1:
            raise error
        return number

    batch = stage_of(picky, on_error="skip").apply(batch_of(0, 1, 2))
    assert seen(batch) == ([0, 2], [0, 2], [(1, error.__name__)])


def test_a_call_that_cancels_itself_costs_its_record(stage_of, batch_of):
    async def suicidal(number):
        if number == 1:
            asyncio.current_task().cancel()
        await asyncio.sleep(0)
        return number

    batch = stage_of(suicidal, on_error="skip", timeout=60.0).apply(batch_of(0, 1, 2))
    assert seen(batch) == ([0, 2], [0, 2], [(1, "CancelledError")])


def test_a_call_that_cancels_all_others_does_not_end_the_run(stage_of, batch_of):
    async def vandal(number):
        if number == 0:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        return number

    batch = stage_of(vandal, on_error="skip", concurrency=2).apply(batch_of(0, 1, 2))
    assert seen(batch) == ([0, 2], [0, 2], [(1, "CancelledError")])


def test_calls_begin_in_order_however_long_each_takes(stage_of, batch_of):
    begun = []

    async def uneven(number):
        begun.append(number)
        for _ in range(number * 7 % 5):
            await asyncio.sleep(0)
        return number

    stage = stage_of(uneven, concurrency=4)
    for start in range(0, 40, 5):
        stage.begin(batch_of(*range(start, start + 5), first=start))
        stage.poll()
    all_done(stage)
    assert begun == list(range(40))


def test_an_exit_in_a_task_of_the_transform_costs_its_record(stage_of, batch_of):
    async def leave():
        raise SystemExit(3)

    async def spawning(number):
        await asyncio.create_task(leave())

    assert seen(stage_of(spawning, on_error="skip").apply(batch_of(0))) == ([], [], [(0, "SystemExit")])


def test_the_earliest_failure_ends_the_run(stage_of, batch_of):
    order = []

    async def failing(number):
        for _ in range(10 - number):
            await asyncio.sleep(0)
        order.append(number)
        if number >= 2:
            raise ValueError(number)
        return number

    batch = stage_of(failing).apply(batch_of(*range(6)))
    assert seen(batch) == ([0, 1], None, [(2, "ValueError")])
    assert order[0] == 5, "a later one failed first"
    assert (batch.last, batch.counts[0].dead, batch.counts[0].not_processed) == (2, 0, 4)


def test_a_call_over_its_timeout_is_retried(stage_of, batch_of):
    calls = []

    async def slow(record):
        calls.append(record)
        if len(calls) == 1:
            await asyncio.Event().wait()
        return record

    assert stage_of(slow, timeout=0.001, attempts=2).apply(batch_of("a")).records == ["a"]
    calls.clear()
    (failure,) = stage_of(slow, timeout=0.001, on_error="skip").apply(batch_of("a")).failures
    assert (failure.type, failure.attempts) == ("Timeout", 1)


def test_a_reject_is_not_retried(stage_of, batch_of):
    async def refusing(record):
        raise Reject("no")

    assert stage_of(refusing, attempts=3, on_error="skip").apply(batch_of("a")).failures[0].attempts == 1


def test_a_declared_none_drops_its_record(stage_of, batch_of):
    async def even(number) -> int | None:
        return None if number % 2 else number

    assert seen(stage_of(even).apply(batch_of(0, 1, 2))) == ([0, 2], [0, 2], [])


def test_an_iterator_may_be_awaited(stage_of, batch_of):
    async def twice(record) -> Iterator[str]:
        return (record for _ in range(2))

    assert seen(stage_of(twice).apply(batch_of(*"ab"))) == (list("aabb"), [0, 0, 1, 1], [])


def test_lists_may_be_awaited_and_fail_record_by_record(stage_of, batch_of):
    lists = []

    @offered.batch
    async def picky(records):
        lists.append("".join(records))
        count("seen", len(records))
        if "x" in records:
            raise ValueError
        return records

    batch = stage_of(picky, batch=3, concurrency=1, on_error="skip").apply(batch_of(*"axcde"))
    assert seen(batch) == (["a", "c", "d", "e"], [0, 2, 3, 4], [(1, "ValueError")])
    assert lists == ["axc", "a", "x", "c", "de"]
    assert batch.counts[0].extra == {"seen": 5}


def test_records_of_a_failed_list_are_called_up_to_the_one_that_ends_the_run(stage_of, batch_of):
    lists = []

    @offered.batch
    async def picky(records):
        lists.append("".join(records))
        if "x" in records:
            raise ValueError
        return records

    batch = stage_of(picky).apply(batch_of(*"axc"))
    assert (seen(batch), lists) == ((["a"], None, [(1, "ValueError")]), ["axc", "a", "x"])


def test_quarantined_records_are_not_called(stage_of, batch_of):
    batch = stage_of(same, on_error="skip").apply(batch_of(*"abc"), {(0, 1, 0): ("Killed", "SIGSEGV")})
    assert seen(batch) == (["a", "c"], [0, 2], [(1, "Killed")])


def test_a_watched_stage_runs_one_call_at_a_time_and_notes_its_record(stage_of, batch_of, noted):
    under_way = []

    async def alone(number):
        under_way.append(number)
        await asyncio.sleep(0)
        assert under_way == [number]
        under_way.remove(number)
        return number

    stage = stage_of(alone, slot=noted)
    stage.watched = True
    assert stage.apply(batch_of(0, 1, 2)).records == [0, 1, 2]
    assert [call for call in noted.calls if call != "left"] == [0, 1, 2]
    assert noted.calls[-1] == "left"


def test_a_stage_with_state_runs_one_call_at_a_time(stage_of, batch_of):
    order = []

    class Ordered:
        async def setup(self):
            order.append("setup")

        async def process(self, record):
            order.append(record)
            await asyncio.sleep(0)
            order.append(record)
            return record

        async def flush(self):
            return ["last"]

        async def close(self):
            order.append("close")

    stage = stage_of(Ordered)
    stage.begin(batch_of("a", "b"))
    stage.begin(batch_of("c"))
    assert [batch.records for batch in all_done(stage)] == [["a", "b"], ["c"]]
    assert [batch.records for batch in stage.flush()] == [["last"]]
    stage.close()
    assert order == ["setup", "a", "a", "b", "b", "c", "c", "close"]


def test_a_flush_may_be_an_async_generator(stage_of):
    class Flushed:
        async def process(self, record):
            return record

        async def flush(self):
            for number in range(3):
                await asyncio.sleep(0)
                count("rows")
                yield number

    stage = stage_of(Flushed)
    stage.piece_records = 2
    assert [(batch.records, batch.counts[0].extra) for batch in stage.flush()] == [
        ([0, 1], {"rows": 2}),
        ([2], {"rows": 1}),
    ]


def test_closing_cancels_running_calls(stage_of, batch_of):
    told = []

    async def stuck(record):
        try:
            await asyncio.Event().wait()
        finally:
            told.append(record)

    stage = stage_of(stuck, concurrency=2, attempts=3)
    stage.begin(batch_of(*"abc"))
    stage.poll(0)
    stage.close()
    assert sorted(told) == ["a", "b"]
    stage.close()


def test_importing_the_evaluator_does_not_import_asyncio():
    asked = "import sys, stagerunner.evaluate.async_evaluator; print('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True).stdout == "False\n"
