from __future__ import annotations

import gc
import weakref
from itertools import islice

import pytest

from stagerunner.errors import Reject, RetryLater
from stagerunner.evaluate import failures
from stagerunner.evaluate.failures import CallFailure, Refusal, failure_of, retry, retry_delays
from stagerunner.evaluate.limits.pacing import Pause
from stagerunner.evaluate.wording import frames_of, message_of
from stagerunner.evaluate.work import Work
from stagerunner.parts.stage import Form


def retrying(attempts, **settings):
    return Work(0, "tested", "m:f", Form(), attempts=attempts, **{"delay": 0.0, **settings})


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return failure_of(caught)


class Failing:
    """A transform that fails a number of times, then gives its argument back."""

    def __init__(self, times, error=ValueError):
        self.left = times
        self.error = error

    def __call__(self, record):
        self.left -= 1
        if self.left >= 0:
            raise self.error(f"{self.left} left")
        return record


def test_a_failure_has_type_message_and_frames():
    call_failure = raised(ValueError("so wrong"))
    assert (call_failure.type, call_failure.message, call_failure.final) == ("ValueError", "so wrong", False)
    assert [(frame.file, frame.function) for frame in call_failure.frames] == [(__file__, "raised")]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration()])
def test_any_exception_has_a_message(error):
    assert raised(error).type == type(error).__name__


def test_an_exception_without_text_is_named():
    class Mute(Exception):
        def __str__(self):
            raise SystemExit

    assert message_of(Mute()) == "<unprintable Mute>"


def test_a_subclass_of_str_becomes_a_plain_str():
    class Text(str):
        pass

    class Odd(Exception):
        def __str__(self):
            return Text("odd")

    assert type(message_of(Odd())) is str


def test_our_own_frames_are_left_out():
    with pytest.raises(TypeError) as raised_in_ours:
        list(retry_delays(retrying("many")))
    assert {frame.file for frame in frames_of(raised_in_ours.value.__traceback__)} == {__file__}


def test_rejects_and_refusals_are_final():
    assert raised(Reject("not this one")) == CallFailure(
        "Reject", "not this one", raised(Reject("not this one")).frames, final=True
    )
    assert raised(Refusal("TooLarge", "why")) == CallFailure("TooLarge", "why", final=True)


def test_delays_grow_up_to_the_longest():
    work = retrying(6, delay=1.0, factor=3.0, longest=10.0)
    assert list(retry_delays(work)) == [1.0, 3.0, 9.0, 10.0, 10.0]


def test_delays_never_overflow():
    assert list(islice(retry_delays(retrying(10**9, delay=1.0)), 5000, 5001)) == [30.0]


def test_a_later_attempt_may_succeed(monkeypatch):
    slept = []
    monkeypatch.setattr(Pause, "sleep", lambda self, seconds: slept.append(seconds))
    assert retry(Failing(2), lambda: "record", raised(ValueError()), retrying(4, delay=0.5), Pause()) == "record"
    assert slept == [0.5, 1.0, 2.0]


def test_nothing_is_tried_again_once_the_run_is_halted():
    for failure in (raised(ValueError()), raised(RetryLater(3000))):
        pause, failing = Pause(), Failing(9)
        pause.halted = lambda: True
        found = retry(failing, lambda: "record", failure, retrying(4, delay=3000.0), pause)
        assert (found.type, found.policy, failing.left) == (failures.HALTED, "fail", 9)


def test_the_last_failure_counts_its_attempts():
    call_failure = retry(Failing(9), lambda: "record", raised(ValueError()), retrying(3), Pause())
    assert (call_failure.message, call_failure.attempts) == ("7 left", 3)


def test_a_final_failure_is_not_retried():
    failing = Failing(9, Reject)
    call_failure = retry(failing, lambda: "record", raised(ValueError()), retrying(5), Pause())
    assert (call_failure.type, call_failure.attempts, failing.left) == ("Reject", 2, 8)
    assert retry(failing, lambda: "record", call_failure, retrying(5), Pause()) is call_failure


def test_no_exception_object_is_kept():
    alive = []

    class Watched(Exception):
        def __init__(self, text):
            super().__init__(text)
            alive.append(weakref.ref(self))

    gc.disable()
    try:
        call_failure = retry(Failing(9, Watched), lambda: "record", raised(ValueError()), retrying(3), Pause())
        assert [reference() for reference in alive] == [None, None], "in a cycle, or kept"
    finally:
        gc.enable()
    assert call_failure.type == "Watched"
