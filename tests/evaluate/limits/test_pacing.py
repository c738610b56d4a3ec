"""Rate and pause, and `RetryLater` in every form of transform."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from stagerunner.errors import RetryLater
from stagerunner.evaluate import failures
from stagerunner.evaluate.copying import original_of
from stagerunner.evaluate.limits import pacing
from stagerunner.evaluate.limits.pacing import LEAST, Pacer, Pause, local_reserve, rate_limiter
from stagerunner.parts.stage import stage as offered


class Busy:
    """A service that asks its first callers for patience: it knows when it was called, and with what."""

    def __init__(self, times=1, seconds=0.06):
        self.left, self.seconds, self.calls, self.began = times, seconds, [], []

    def __call__(self, record):
        self.calls.append(record if type(record) is not list else [*record])
        self.began.append(monotonic())
        if self.left:
            self.left -= 1
            if isinstance(record, list | dict):
                record.clear()  # the next attempt gets it as it came all the same
            raise RetryLater(self.seconds)
        return record


def forms(busy):
    def plain(record):
        return busy(record)

    def filtering(record) -> str | None:
        return busy(record)

    def many(record):
        yield busy(record)

    @offered.batch
    def lists(records):
        return busy(records)

    async def awaited(record):
        return busy(record)

    @offered.batch
    async def awaited_lists(records):
        return busy(records)

    return {form.__name__: form for form in (plain, filtering, many, lists, awaited, awaited_lists)}


EACH = pytest.mark.parametrize("form", forms(None))


@EACH
def test_the_record_is_tried_again_later_without_using_an_attempt(stage_of, batch_of, form):
    busy = Busy(times=3)
    records = batch_of({"n": 1})
    records.original = original_of(records.records)
    batch = stage_of(forms(busy)[form], attempts=1).apply(records)

    assert (batch.records, batch.failures) == ([{"n": 1}], [])
    assert len(busy.calls) == 4
    assert all(later - earlier >= 0.06 for earlier, later in zip(busy.began, busy.began[1:], strict=False))


@EACH
def test_attempts_are_counted_beside_it(stage_of, batch_of, form):
    busy = Busy(times=2)

    def moody(record):
        answer = busy(record)
        raise OSError(answer)

    batch = stage_of(forms(moody)[form], attempts=3, on_error="skip").apply(batch_of("a"))
    (failure,) = batch.failures
    assert (failure.type, failure.attempts, len(busy.calls)) == ("OSError", 3, 5)


@EACH
def test_a_record_that_asks_for_too_much_fails(stage_of, batch_of, monkeypatch, form):
    monkeypatch.setattr(failures, "PATIENCE", 0.2)
    busy = Busy(times=99)

    batch = stage_of(forms(busy)[form], attempts=5, on_error="skip").apply(batch_of("a"))

    (failure,) = batch.failures
    assert (failure.type, failure.attempts, len(busy.calls)) == ("RetryLater", 1, 4)
    assert failure.message == "asked to be tried again in 0.06 s (it has asked for more than 0 s in all)"


@pytest.mark.parametrize("form", ["lists", "awaited_lists"])
def test_a_list_is_tried_again_whole(stage_of, batch_of, form):
    busy = Busy()
    batch = stage_of(forms(busy)[form]).apply(batch_of("a", "b", "c"))
    assert (busy.calls, batch.records) == ([["a", "b", "c"]] * 2, ["a", "b", "c"])


@pytest.mark.parametrize("form", ["lists", "awaited_lists"])
def test_a_list_that_fails_later_is_tried_record_by_record(stage_of, batch_of, form):
    busy = Busy()

    def picky(records):
        busy(records)
        if "b" in records:
            raise ValueError
        return records

    batch = stage_of(forms(picky)[form], on_error="skip").apply(batch_of("a", "b", "c"))
    assert (batch.records, [failure.type for failure in batch.failures]) == (["a", "c"], ["ValueError"])
    assert busy.calls == [["a", "b", "c"], ["a", "b", "c"], ["a"], ["b"], ["c"]]


@pytest.mark.parametrize("form", ["plain", "awaited"])
def test_a_deadline_counts_calls_not_pauses(stage_of, batch_of, noted, form):
    busy = Busy(times=2)
    stage = stage_of(forms(busy)[form], slot=noted, timeout=0.05, on_error="fail")
    stage.watched = True
    assert stage.apply(batch_of("a")).records == ["a"]
    assert [call for call in noted.calls if call == 0] == [0] * 3
    assert noted.calls[-1] == "left"


def test_calls_of_an_async_stage_pause_together(stage_of, batch_of):
    busy = Busy(times=1, seconds=0.2)

    async def awaited(record):
        if record:
            await asyncio.sleep(0.01)
        return busy(record)

    stage_of(awaited, concurrency=2).apply(batch_of(0, 1, 2, 3))
    begun_in_the_pause = [at for at in busy.began if busy.began[0] + 0.05 < at < busy.began[0] + 0.2]
    assert (len(busy.calls), begun_in_the_pause) == (5, [])


# The pause itself


def test_no_pause_until_one_is_asked_for():
    pause = Pause()
    assert (pause.used, pause.left()) == (False, 0.0)
    pause.extend(50)
    assert pause.used
    assert 49 < pause.left() <= 50


def test_a_shorter_pause_ends_no_longer_one():
    pause = Pause()
    pause.extend(50)
    pause.extend(1)
    assert pause.left() > 49


def test_there_is_a_shortest_pause():
    pause = Pause()
    pause.extend(0)
    assert 0 < pause.left() <= LEAST


def test_pauses_with_the_same_word_are_one():
    words = [0] * 6
    Pause(words, 2).extend(50)
    assert Pause(words, 2).left() > 49
    assert not Pause(words, 4).used


def test_what_has_passed_of_pauses_counts_no_moment_twice(monkeypatch):
    now = [10**9]
    monkeypatch.setattr(pacing, "monotonic_ns", lambda: now[0])
    pause, passed = Pause(), []
    for at, seconds in ((1, 10), (3, 4), (5, 10), (8, None), (15, None), (90, 2), (91, None), (99, None)):
        now[0] = at * 10**9
        if seconds is not None:
            pause.extend(seconds)
        passed.append(pause.times()[0] / 10**9)
    assert passed == [0, 2, 4, 7, 14, 14, 15, 16]


@pytest.mark.parametrize("awaited", [False, True])
def test_no_turn_is_reserved_during_a_pause(awaited):
    """Else all that were reserved would begin at its end."""
    pause, reserved = Pause(), []

    def reserve(between):
        reserved.append(pause.left())
        if len(reserved) == 1:
            pause.extend(0.05)  # while the first one waits for its turn
        return monotonic() + 0.01

    pacer = Pacer(rate_limiter(100.0, reserve), pause)
    asyncio.run(pacer.turn()) if awaited else pacer.wait()
    assert reserved == [0.0, 0.0]


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_seconds_that_make_no_sense_are_refused(seconds):
    with pytest.raises(ValueError, match="takes the number of seconds"):
        RetryLater(seconds)


def test_a_text_is_no_number_of_seconds():
    with pytest.raises(TypeError, match=r"as in float\(text\), not '5'"):
        RetryLater("5")


# The rate


def test_calls_are_evenly_spaced():
    reserve = local_reserve()
    first, *others = [reserve(0.5) for _ in range(4)]
    assert first == pytest.approx(monotonic(), abs=0.5)
    assert others == [first + 0.5, first + 1.0, first + 1.5]


def test_unused_time_is_not_saved_up():
    reserve = local_reserve()
    reserve(-1000)  # the next one was free long ago
    now = monotonic()
    assert reserve(1) >= now
    assert reserve(1) >= now + 1


def test_without_a_rate_there_is_no_limiter():
    assert rate_limiter(None, None) is None


def test_a_reservation_says_how_long_to_wait():
    limiter = rate_limiter(0.01, None)
    assert limiter.reserve() == 0
    assert 99 < limiter.reserve() <= 100


def test_a_stage_that_is_not_async_keeps_its_rate_and_its_deadline_counts_the_call_alone(stage_of, batch_of, noted):
    began = monotonic()
    stage = stage_of(same, slot=noted, rate=100.0)
    stage.watched = True
    batch = stage.apply(batch_of(*range(6)))
    assert batch.records == list(range(6))
    assert noted.calls == [call for number in range(6) for call in (number, "left")]
    assert 0.05 <= monotonic() - began


def same(record):
    return record


@pytest.mark.parametrize("many", [False, True])
def test_each_attempt_counts_as_a_call(stage_of, batch_of, many):
    if many:

        def failing(record):
            yield from ()
            raise OSError

    else:

        def failing(record):
            raise OSError

    began = monotonic()
    batch = stage_of(failing, rate=100.0, attempts=3, on_error="skip").apply(batch_of(1, 2))
    assert [failure.attempts for failure in batch.failures] == [3, 3]
    assert 0.05 <= monotonic() - began
