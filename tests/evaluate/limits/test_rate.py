from __future__ import annotations

from time import monotonic

import pytest

from stagerunner.evaluate.limits.rate import local_reserve, rate_limiter


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
