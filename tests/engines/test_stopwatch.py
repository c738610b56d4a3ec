from __future__ import annotations

from time import process_time, sleep

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


def test_waiting_is_time_alone():
    watch = Stopwatch()
    sleep(0.02)
    spent = watch.stop()

    assert spent.cpu < 0.015 < spent.time


def test_waiting_for_a_core_is_neither(monkeypatch):
    told = iter([1.0, 1.015])
    monkeypatch.setattr(stopwatch, "delayed", lambda: next(told))
    watch = Stopwatch()
    sleep(0.02)

    assert watch.stop().time == pytest.approx(0.005, abs=0.004)


@pytest.mark.parametrize("text", [None, "", "1 x"])
def test_a_system_that_does_not_tell_is_believed_to_be_quiet(tmp_path, monkeypatch, text):
    place = tmp_path / "schedstat"
    if text is not None:
        place.write_text(text)
    monkeypatch.setattr(stopwatch, "_SCHEDULED", place)

    assert stopwatch.delayed() == 0
