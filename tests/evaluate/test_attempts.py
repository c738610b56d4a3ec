from __future__ import annotations

import asyncio

import pytest

from stagerunner.evaluate.attempts import Caller
from stagerunner.evaluate.policy import Trouble


async def stuck(record):
    await asyncio.Event().wait()


def attempt(work, call, argument=None):
    return asyncio.run(Caller(work, call).attempt(argument))


def test_an_attempt_gives_what_the_call_gives(work_of):
    async def double(number):
        return number * 2

    assert attempt(work_of(double), double, 4) == 8


def test_an_attempt_over_its_time_says_where_it_was_waiting(work_of):
    trouble = attempt(work_of(stuck, timeout=0.001), stuck)
    assert (trouble.type, trouble.message, trouble.final) == ("Timeout", "took longer than 0.001 s", False)
    assert (trouble.frames[0].file, trouble.frames[0].function) == (__file__, "stuck")


def test_a_timeout_of_the_transforms_own_keeps_its_name(work_of):
    async def impatient(record):
        await asyncio.wait_for(stuck(record), 0.001)

    assert attempt(work_of(impatient, timeout=60.0), impatient).type == "TimeoutError"


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyboardInterrupt, GeneratorExit, OSError])
def test_whatever_a_call_raises_is_trouble(work_of, error):
    async def raising(record):
        raise error

    assert attempt(work_of(raising), raising).type == error.__name__


def test_a_call_is_tried_again_while_it_is_wanted(work_of):
    calls = []

    async def failing(record):
        calls.append(record)
        raise OSError

    def trouble_after(wanted):
        calls.clear()
        caller = Caller(work_of(failing, attempts=4), failing)
        return asyncio.run(caller.again(lambda: "r", Trouble("OSError", ""), wanted)), len(calls)

    trouble, number = trouble_after(lambda: True)
    assert (trouble.attempts, number) == (4, 3)
    trouble, number = trouble_after(lambda: len(calls) < 1)
    assert (trouble.attempts, number) == (2, 1)


def test_a_final_trouble_is_left_alone(work_of):
    final = Trouble("Reject", "no", final=True)
    assert asyncio.run(Caller(work_of(stuck, attempts=9), stuck).again(lambda: 1, final, lambda: True)) is final
