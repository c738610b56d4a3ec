from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.specs import spec_for, work

from stagerunner import count, enough, stage
from stagerunner.engines.worker.in_flight import WorkAhead
from stagerunner.engines.worker.stage_runner import StageRunner
from stagerunner.records import BARRIER, DATA, SKIP
from stagerunner.wire.frame import MORE, STOP, Frame, Header, Metadata, pack_metadata, unpack_payload
from stagerunner.wire.metrics import MetricsPage, create


def frame(sequence: int, *records: object, flags: int = 0, first: int = 0, piece: int = 0) -> Frame:
    header = Header(DATA, flags, 1, sequence, sequence, first, first + len(records), piece, len(records))
    return Frame(header, pack_metadata(Metadata()) + pickle.dumps(list(records), 5))


async def later_first(number: int) -> int:
    await asyncio.sleep(0.02 if number == 0 else 0)
    return number


@pytest.fixture
def ahead() -> Iterator[Callable[..., WorkAhead]]:
    made: list[Any] = []

    def make(found: Any, share: int = 2**20, **settings: Any) -> WorkAhead:
        spec = spec_for(work(found, **settings), share=share, first=False, source=None)
        metrics = create(1, 8)
        page = MetricsPage(metrics, 1, 8)
        runner = StageRunner(spec, page)
        made.append((runner, page, metrics))
        runner.setup()
        ahead = WorkAhead(runner, page, spec)
        ahead.page = page  # type: ignore[attr-defined]
        return ahead

    yield make
    for runner, page, metrics in made:
        runner.close()
        page.close()
        os.close(metrics)


def all_landed(ahead: WorkAhead) -> list[Any]:
    """What is sent until no frame is open, as (sequence, records)."""
    landed: list[Any] = []
    while ahead.under_way:
        ahead.hasten()
        landed += ahead.landed(None, 10**9)
    return [(header.sequence, pickle.loads(body)) for header, _, body in landed]


def test_only_a_lone_stage_that_is_async_or_gathers_works_ahead():
    def plain(number: int) -> int:
        return number

    @stage.batch
    def lists(numbers):
        return numbers

    class Stateful:
        def process_batch(self, numbers):
            return numbers

        def flush(self):
            return []

    assert spec_for(later_first).works_ahead
    assert spec_for(work(lists, batch=2, wait=1.0)).works_ahead
    assert spec_for(work(Stateful, batch=2, wait=1.0)).works_ahead
    assert not spec_for(work(lists, batch=2)).works_ahead
    assert not spec_for(plain).works_ahead
    assert not spec_for(later_first, later_first).works_ahead


def test_frames_begun_side_by_side_leave_in_sequence(ahead):
    opened = ahead(later_first, concurrency=2)
    opened.begin(frame(0, 0))
    opened.begin(frame(1, 1))
    assert not opened.room()
    assert opened.page.opened() == 2

    landed = []
    while opened.under_way:
        landed += opened.landed(None, 2)

    assert [header.sequence for header, _, _ in landed] == [0, 1]
    assert [pickle.loads(body) for _, _, body in landed] == [[0], [1]]
    assert all(unpack_payload(metadata + body)[0].counts for _, metadata, body in landed)
    assert opened.page.opened() == 0


def test_frames_that_are_done_at_one_moment_cost_their_calls_time_by_the_number_at_once(ahead):
    """Else the first would have cost all of it and the others nothing, and the parent would send ever larger ones."""

    async def asleep(number: int) -> int:
        await asyncio.sleep(0.02)
        return number

    opened = ahead(asleep, concurrency=4)
    for sequence in range(4):
        opened.begin(frame(sequence, sequence))
    landed = []
    while opened.under_way:
        landed += opened.landed(None, 4)

    costs = [unpack_payload(metadata)[0].slowest for _, metadata, _ in landed]
    assert min(costs) >= 20e6 / 4


def test_any_number_of_frames_is_done_behind_a_slow_head(ahead):
    done = asyncio.Event()

    async def first_last(number: int) -> int:
        if number == 0:
            await done.wait()
        return number

    opened = ahead(first_last, concurrency=2)
    opened.begin(frame(0, 0))
    sent = []
    for number in range(1, 100):
        assert opened.room()
        opened.begin(frame(number, number))
        sent += opened.landed(None, number + 1)
    assert (sent, opened.page.opened()) == ([], 100)

    done.set()
    assert [sequence for sequence, _ in all_landed(opened)] == list(range(100))


def test_with_its_share_of_results_waiting_it_begins_nothing_but_the_head(ahead):
    done = asyncio.Event()

    async def first_last(number: int) -> bytes:
        if number == 0:
            await done.wait()
        return bytes(600)

    opened = ahead(first_last, share=1000, concurrency=2)
    opened.begin(frame(0, 0))
    for number in (1, 2):
        assert opened.room()
        opened.begin(frame(number, number))
        assert list(opened.landed(None, number + 1)) == []
    assert not opened.room()

    done.set()
    assert [sequence for sequence, _ in all_landed(opened)] == [0, 1, 2]
    assert opened.room()


def test_a_call_takes_the_records_of_several_frames_and_each_gets_its_own(ahead):
    lists = []

    @stage.batch
    def double(numbers: list[int]) -> list[int]:
        lists.append(numbers)
        return [number * 2 for number in numbers]

    opened = ahead(double, batch=3, wait=60.0)
    for sequence, numbers in enumerate([[1], [2, 3, 4], [], [5, 6]]):
        opened.begin(frame(sequence, *numbers))
        while not opened.room():
            list(opened.landed(None, sequence + 1))
    assert lists == [[1, 2, 3], [4, 5, 6]]

    assert opened.page.opened() == 0


def test_results_are_dealt_to_their_frames(ahead):
    @stage.batch
    def double(numbers: list[int]) -> list[int | None]:
        return [None if number == 3 else number * 2 for number in numbers]

    opened = ahead(double, batch=10, wait=60.0)
    for sequence, numbers in enumerate([[1], [2, 3, 4], [], [5, 6]]):
        opened.begin(frame(sequence, *numbers))

    assert all_landed(opened) == [(0, [2]), (1, [4, 8]), (2, []), (3, [10, 12])]


def test_pieces_of_a_frame_share_a_call_and_keep_their_order(ahead):
    @stage.batch
    def same(numbers):
        return numbers

    opened = ahead(same, batch=10, wait=60.0)
    opened.begin(frame(0, 1, 2, flags=MORE))
    opened.begin(frame(0, 3, first=2, piece=1))
    opened.begin(frame(1, 4))

    assert all_landed(opened) == [(0, [1, 2]), (0, [3]), (1, [4])]


def test_what_a_call_counts_goes_with_its_last_frame(ahead):
    @stage.batch
    def counted(numbers):
        count("calls")
        return numbers

    opened = ahead(counted, batch=10, wait=60.0)
    opened.begin(frame(0, 1))
    opened.begin(frame(1, 2))
    opened.hasten()
    counters = [
        {name: number for counts in unpack_payload(metadata + body)[0].counts for name, number in counts.extra.items()}
        for _, metadata, body in opened.landed(None, 2)
    ]
    assert counters == [{}, {"calls": 1}]


def test_enough_ends_the_frame_of_the_last_record_and_nothing_after_it_is_called(ahead):
    calls = []

    @stage.batch
    def satisfied(numbers):
        calls.append(numbers)
        enough()
        return numbers

    opened = ahead(satisfied, batch=3, wait=60.0)
    opened.begin(frame(0, 1, 2))
    opened.begin(frame(1, 3, 4, 5))
    opened.begin(frame(2, 6))
    landed = []
    while opened.under_way:
        opened.hasten()
        landed += opened.landed(None, 3)

    assert calls == [[1, 2, 3]]
    assert [(head.stop, head.last, pickle.loads(body)) for head, _, body in landed] == [
        (False, 2, [1, 2]),
        (True, 1, [3]),
        (False, 0, []),
    ]


def test_a_list_that_fails_is_called_record_by_record(ahead):
    lists = []

    @stage.batch
    def picky(numbers):
        lists.append(numbers)
        if 3 in numbers:
            raise ValueError("three")
        return numbers

    opened = ahead(picky, batch=10, wait=60.0, on_error="skip")
    opened.begin(frame(0, 1, 2))
    opened.begin(frame(1, 3, 4))
    assert all_landed(opened) == [(0, [1, 2]), (1, [4])]
    assert lists == [[1, 2, 3, 4], [1], [2], [3], [4]]


def test_it_calls_at_once_when_the_parent_can_send_nothing_more(ahead):
    @stage.batch
    def same(numbers):
        return numbers

    opened = ahead(same, batch=10, wait=60.0)
    reading, writing = os.pipe()
    try:
        opened.begin(frame(0, 1))
        opened.page.say_all_sent(5)  # more is on its way
        assert list(opened.landed(reading, 1)) == []
        opened.page.say_all_sent(-1)
        assert list(opened.landed(reading, 1)) == []
        opened.page.say_all_sent(0)
        assert [header.sequence for header, _, _ in opened.landed(reading, 1)] == [0]
    finally:
        os.close(reading)
        os.close(writing)


def test_a_record_waits_no_longer_than_allowed(ahead):
    @stage.batch
    def same(numbers):
        return numbers

    opened = ahead(same, batch=10, wait=0.0)
    opened.begin(frame(0, 1))
    assert [header.sequence for header, _, _ in opened.landed(None, 1)] == [0]


def test_nothing_waits_behind_a_frame_with_stop(ahead):
    @stage.batch
    def same(numbers):
        return numbers

    opened = ahead(same, batch=10, wait=60.0)
    opened.begin(frame(0, 1, flags=STOP))
    assert [header.sequence for header, _, _ in opened.landed(None, 1)] == [0]


def test_barriers_and_skip_frames_keep_their_turn_without_ending_a_list(ahead):
    lists = []

    @stage.batch
    def same(numbers):
        lists.append(numbers)
        return numbers

    opened = ahead(same, batch=2, wait=60.0)
    opened.begin(frame(0, 1))
    assert opened.passes(BARRIER)
    opened.pass_on(Frame(Header(BARRIER, 0, 1, 1), pack_metadata(Metadata()) + pickle.dumps({}, 5)))
    opened.pass_on(Frame(Header(SKIP, 0, 1, 2), pack_metadata(Metadata())))
    opened.begin(frame(3, 2))

    assert [header.sequence for header, _, _ in opened.landed(None, 4)] == [0, 1, 2, 3]
    assert lists == [[1, 2]]


def test_a_stage_with_state_ends_its_list_before_a_barrier(ahead):
    class Stateful:
        def process_batch(self, numbers):
            return numbers

        def snapshot(self):
            return 1

        def restore(self, data): ...

    assert not ahead(Stateful, batch=2, wait=1.0).passes(BARRIER)
