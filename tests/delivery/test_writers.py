from __future__ import annotations

import pickle

import pytest

from stagerunner.delivery.writers import MOST_WAITING, CallerWriter, RefusingWriter, SinkWriter, StdoutWriter
from stagerunner.errors import OutputBusy, RunFailed
from stagerunner.evaluate.refusable import TracedEncoder
from stagerunner.records import Batch
from stagerunner.window.core import CHARGE


class Noting:
    """A sink that writes down what it is told."""

    keeps = "truncate"

    def __init__(self) -> None:
        self.told: list = []

    def __getattr__(self, name):
        return lambda *arguments: self.told.append((name, *arguments))


def test_a_sink_is_told_everything_in_order():
    sink = Noting()
    writer = SinkWriter(sink)
    writer.open(5)
    writer.write(memoryview(b"data"), 1)
    writer.commit({"row": 1})
    writer.sync()
    writer.finish()

    assert sink.told == [("open", 5), ("write", b"data"), ("commit", {"row": 1}), ("sync",), ("finish",)]
    assert writer.keeps == "truncate"
    assert not writer.pauses_dispatch()


def test_a_sink_is_not_bothered_with_nothing():
    sink = Noting()
    SinkWriter(sink).write(memoryview(b""), 0)

    assert sink.told == []


def test_a_sink_that_was_never_opened_is_not_aborted():
    sink = Noting()
    SinkWriter(sink).abort()

    assert sink.told == []


def test_the_caller_gets_records_and_is_full_at_two_lists():
    writer = CallerWriter()
    writer.write(memoryview(pickle.dumps([1, 2])), 2)
    assert not writer.pauses_dispatch()
    writer.write(memoryview(pickle.dumps([3])), 1)

    assert writer.pauses_dispatch()
    assert [writer.records(), writer.records()] == [[1, 2], [3]]


def test_a_result_that_can_not_be_read_here_ends_the_run():
    writer = CallerWriter()
    writer.write(memoryview(b"no pickle"), 1)

    with pytest.raises(RunFailed, match="can't be unpickled here"):
        writer.records()


def test_standard_output_is_full_beyond_a_mebibyte():
    writer = StdoutWriter(object())
    writer.write(memoryview(bytes(MOST_WAITING - CHARGE)), 1)
    assert not writer.pauses_dispatch()
    writer.write(memoryview(b"x"), 1)

    assert writer.pauses_dispatch()
    assert writer.queued == MOST_WAITING - CHARGE + 1


def test_many_tiny_frames_for_standard_output_are_charged_for_what_they_take_here():
    writer = StdoutWriter(object())
    for _ in range(1 + MOST_WAITING // (CHARGE + 2)):
        assert not writer.pauses_receiving()
        writer.write(memoryview(b"1\n"), 1)

    assert writer.pauses_receiving()


def test_a_caller_is_given_no_more_than_a_mebibyte_ahead():
    writer = CallerWriter()
    body = memoryview(pickle.dumps([bytes(MOST_WAITING // 2)]))
    writer.write(body, 1)
    writer.write(memoryview(pickle.dumps([1])), 1)
    assert not writer.pauses_receiving()
    writer.write(body, 1)
    assert writer.pauses_receiving()

    writer.records()

    assert not writer.pauses_receiving()


def test_a_sink_says_how_its_records_look_on_standard_output():
    class Shouting:
        def rendered(self, data):
            return bytes(data).upper()

    writer = StdoutWriter(Shouting())
    writer.write(memoryview(b"abc"), 1)

    assert list(writer.waiting) == [b"ABC"]


def test_what_a_sink_raises_when_asked_where_it_stands_is_its_failure():
    class Lost(Noting):
        def position(self):
            raise ValueError("who knows")

    with pytest.raises(RunFailed, match=r"the sink .* failed: ValueError: who knows"):
        SinkWriter(Lost()).position()


def test_an_output_that_another_run_has_is_busy():
    class Locked(Noting):
        def open(self, position):
            raise BlockingIOError

    with pytest.raises(OutputBusy, match="another run owns this output"):
        SinkWriter(Locked()).open(None)


class Refusing(Noting):
    """Refuses what it is told to."""

    def __init__(self, refused):
        super().__init__()
        self.write_or_refuse = lambda data: self.told.append(bytes(data)) or refused


def traced(*records):
    encode = TracedEncoder(lambda records: "".join(records).encode(), 3, "skip", counted=True)
    return memoryview(encode.body(Batch(list(records), 5, 5 + len(records))))


def test_what_a_sink_refuses_becomes_failures_of_this_body_only():
    sink = Refusing({1: KeyError("id")})
    writer = RefusingWriter(sink, 3, "skip")
    writer.write(traced("a", "b"), 2)

    (failure,) = writer.refused
    assert sink.told == [b"ab"]
    assert (failure.stage, failure.origin, failure.record, failure.type) == (3, 6, "b", "KeyError")
    writer.write(traced(), 0)
    assert not writer.refused


@pytest.mark.parametrize("refused", [None, {2: ValueError()}, {"a": ValueError()}, [0]])
def test_a_sink_that_refuses_what_it_was_not_given_is_wrong(refused):
    with pytest.raises(RunFailed, match=r"write_or_refuse gave a .*, not a dict of numbers of its records"):
        RefusingWriter(Refusing(refused), 3, "skip").write(traced("a", "b"), 2)
