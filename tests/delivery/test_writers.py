from __future__ import annotations

import pickle

import pytest

from stagerunner.delivery.writers import CallerTaker, SinkTaker, StdoutTaker
from stagerunner.errors import OutputBusy, RunFailed
from stagerunner.window.holding import CHARGE, PATIENT


class Noting:
    """A sink that writes down what it is told."""

    keeps = "truncate"

    def __init__(self) -> None:
        self.told: list = []

    def __getattr__(self, name):
        return lambda *arguments: self.told.append((name, *arguments))


def test_a_sink_is_told_everything_in_order():
    sink = Noting()
    taker = SinkTaker(sink)
    taker.open(5)
    taker.take(memoryview(b"data"), 1)
    taker.commit({"row": 1})
    taker.sync()
    taker.finish()

    assert sink.told == [("open", 5), ("write", b"data"), ("commit", {"row": 1}), ("sync",), ("finish",)]
    assert taker.keeps == "truncate"
    assert not taker.full()


def test_a_sink_is_not_bothered_with_nothing():
    sink = Noting()
    SinkTaker(sink).take(memoryview(b""), 0)

    assert sink.told == []


def test_a_sink_that_was_never_opened_is_not_aborted():
    sink = Noting()
    SinkTaker(sink).abort()

    assert sink.told == []


def test_the_caller_gets_records_and_is_full_at_two_lists():
    taker = CallerTaker()
    taker.take(memoryview(pickle.dumps([1, 2])), 2)
    assert not taker.full()
    taker.take(memoryview(pickle.dumps([3])), 1)

    assert taker.full()
    assert [taker.records(), taker.records()] == [[1, 2], [3]]


def test_a_result_that_can_not_be_read_here_ends_the_run():
    taker = CallerTaker()
    taker.take(memoryview(b"no pickle"), 1)

    with pytest.raises(RunFailed, match="can't be unpickled here"):
        taker.records()


def test_standard_output_is_full_beyond_a_mebibyte():
    taker = StdoutTaker(object())
    taker.take(memoryview(bytes(PATIENT - CHARGE)), 1)
    assert not taker.full()
    taker.take(memoryview(b"x"), 1)

    assert taker.full()
    assert taker.queued == PATIENT - CHARGE + 1


def test_many_tiny_frames_for_standard_output_are_charged_for_what_they_take_here():
    taker = StdoutTaker(object())
    for _ in range(1 + PATIENT // (CHARGE + 2)):
        assert not taker.replete()
        taker.take(memoryview(b"1\n"), 1)

    assert taker.replete()


def test_a_caller_is_given_no_more_than_a_mebibyte_ahead():
    taker = CallerTaker()
    body = memoryview(pickle.dumps([bytes(PATIENT // 2)]))
    taker.take(body, 1)
    taker.take(memoryview(pickle.dumps([1])), 1)
    assert not taker.replete()
    taker.take(body, 1)
    assert taker.replete()

    taker.records()

    assert not taker.replete()


def test_a_sink_says_how_its_records_look_on_standard_output():
    class Shouting:
        def rendered(self, data):
            return bytes(data).upper()

    taker = StdoutTaker(Shouting())
    taker.take(memoryview(b"abc"), 1)

    assert list(taker.waiting) == [b"ABC"]


def test_what_a_sink_raises_when_asked_where_it_stands_is_its_failure():
    class Lost(Noting):
        def position(self):
            raise ValueError("who knows")

    with pytest.raises(RunFailed, match=r"the sink .* failed: ValueError: who knows"):
        SinkTaker(Lost()).position()


def test_an_output_that_another_run_has_is_busy():
    class Locked(Noting):
        def open(self, position):
            raise BlockingIOError

    with pytest.raises(OutputBusy, match="another run owns this output"):
        SinkTaker(Locked()).open(None)
