from __future__ import annotations

import os
import selectors

import pytest

from stagerunner.runtime import polling
from stagerunner.runtime.polling import SOON, Polling


class Clock:
    """Advances when the selector is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Answers:
    """A selector over a pipe that is written to `after` seconds of the clock; a look takes a tenth of SOON."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.reading, self.writing = os.pipe()
        self._real = selectors.DefaultSelector()
        self._real.register(self.reading, selectors.EVENT_READ)
        self.asked: list[float] = []
        self._due = 0.0

    def after(self, seconds: float) -> None:
        self.asked.clear()
        self._due = self.clock.now + seconds

    def select(self, timeout: float):
        self.asked.append(timeout)
        self.clock.now += min(max(timeout, SOON / 10), max(self._due - self.clock.now, 0.0) + SOON / 10)
        if self.clock.now >= self._due:
            os.write(self.writing, b"!")
        events = self._real.select(0)
        for key, _ in events:
            os.read(key.fd, 1)
        return events

    def close(self) -> None:
        self._real.close()
        os.close(self.reading)
        os.close(self.writing)


@pytest.fixture
def answers(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(polling, "monotonic", clock)
    answers = Answers(clock)
    yield answers
    answers.close()


def waited(polling, answers, seconds: float, *, lone: bool = True) -> list[float]:
    """The timeouts of the selector until an answer came after so many seconds."""
    answers.after(seconds)
    assert len(polling.wait(10.0, lone=lone)) == 1
    return list(answers.asked)


def test_the_first_answer_is_slept_for_and_one_that_came_soon_lets_the_next_be_waited_for_awake(answers):
    polling = Polling(answers, cores=2)

    assert waited(polling, answers, SOON / 2) == [10.0]
    assert set(waited(polling, answers, SOON / 2)) == {0}


def test_an_answer_that_takes_longer_is_slept_for_and_so_is_the_next(answers):
    polling = Polling(answers, cores=2)
    waited(polling, answers, SOON / 2)

    *awake, asleep = waited(polling, answers, 5 * SOON)
    assert (set(awake), asleep) == ({0}, 10.0)
    assert waited(polling, answers, 5 * SOON) == [10.0]


@pytest.mark.parametrize(("cores", "lone"), [(1, True), (2, False)])
def test_nobody_stays_awake_where_others_need_the_core(answers, cores, lone):
    polling = Polling(answers, cores)

    for _ in range(3):
        assert waited(polling, answers, SOON / 2, lone=lone) == [10.0]


def test_an_answer_that_does_not_come_is_given_up(answers):
    polling = Polling(answers, cores=2)
    answers.after(10)

    assert polling.wait(0.25, lone=True) == []
    assert polling.wait(0.0, lone=True) == []
    assert answers.asked == [0.25, 0.0]
