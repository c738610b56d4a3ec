from __future__ import annotations

import asyncio

import pytest

from stagerunner.evaluate.async_caller import AsyncCaller
from stagerunner.evaluate.failures import CallFailure
from stagerunner.evaluate.limits.pacing import Pacer, Pause


async def stuck(record):
    await asyncio.Event().wait()


def attempt(work, call, argument=None):
    return asyncio.run(AsyncCaller(work, call, Pacer(None, Pause())).attempt(argument))


def test_an_attempt_returns_the_result_of_the_call(work_of):
    async def double(number):
        return number * 2

    assert attempt(work_of(double), double, 4) == 8


def test_a_timeout_says_where_the_call_was_waiting(work_of):
    call_failure = attempt(work_of(stuck, timeout=0.001), stuck)
    assert (call_failure.type, call_failure.message, call_failure.final) == (
        "Timeout",
        "took longer than 0.001 s",
        False,
    )
    assert (call_failure.frames[0].file, call_failure.frames[0].function) == (__file__, "stuck")


def test_a_timeout_raised_by_the_transform_keeps_its_name(work_of):
    async def impatient(record):
        await asyncio.wait_for(stuck(record), 0.001)

    assert attempt(work_of(impatient, timeout=60.0), impatient).type == "TimeoutError"


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit, OSError])
def test_whatever_a_call_raises_is_a_failure(work_of, error):
    async def raising(record):
        raise error

    assert attempt(work_of(raising), raising).type == error.__name__


def test_a_call_is_retried_while_its_result_is_wanted(work_of):
    calls = []

    async def failing(record):
        calls.append(record)
        raise OSError

    def failure_after(wanted):
        calls.clear()
        caller = AsyncCaller(work_of(failing, attempts=4), failing, Pacer(None, Pause()))
        return asyncio.run(caller.retry(lambda: "r", CallFailure("OSError", ""), wanted)), len(calls)

    call_failure, number = failure_after(lambda: True)
    assert (call_failure.attempts, number) == (4, 3)
    call_failure, number = failure_after(lambda: len(calls) < 1)
    assert (call_failure.attempts, number) == (2, 1)


def test_a_final_failure_is_not_retried(work_of):
    final = CallFailure("Reject", "no", final=True)
    caller = AsyncCaller(work_of(stuck, attempts=9), stuck, Pacer(None, Pause()))
    assert asyncio.run(caller.retry(lambda: 1, final, lambda: True)) is final
