from __future__ import annotations

from time import process_time

import pytest

from stagerunner.engines import stopwatch
from stagerunner.engines.stopwatch import Stopwatch


def busy(seconds: float) -> None:
    until = process_time() + seconds
    while process_time() < until:
        pass


def test_work_is_time_and_cpu():
    watch = Stopwatch()
    busy(0.02)
    spent = watch.stop()

    assert spent.time >= spent.cpu >= 0.02


@pytest.fixture
def watched(monkeypatch):
    """What a stopwatch says when its clocks go on by so many seconds."""

    def watched(perf_counter, process_time, delayed):
        clocks = {"perf_counter": perf_counter, "process_time": process_time, "delayed": delayed}
        for name, went_on in clocks.items():
            moments = iter([7.0, 7.0 + went_on])
            monkeypatch.setattr(stopwatch, name, lambda moments=moments: next(moments))
        return Stopwatch().stop()

    return watched


def test_waiting_is_time_alone(watched):
    assert watched(perf_counter=0.5, process_time=0.125, delayed=0.0) == (0.5, 0.125)


def test_waiting_for_a_core_is_neither(watched):
    assert watched(perf_counter=0.5, process_time=0.125, delayed=0.25) == (0.25, 0.125)


def test_work_is_never_less_than_its_cpu(watched):
    assert watched(perf_counter=0.5, process_time=0.375, delayed=0.25) == (0.375, 0.375)


@pytest.mark.parametrize("text", [None, "", "1 x"])
def test_a_system_that_does_not_tell_is_believed_to_be_quiet(tmp_path, monkeypatch, text):
    place = tmp_path / "schedstat"
    if text is not None:
        place.write_text(text)
    monkeypatch.setattr(stopwatch, "_SCHEDULED", place)

    assert stopwatch.delayed() == 0
