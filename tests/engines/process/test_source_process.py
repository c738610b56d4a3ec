from __future__ import annotations

import json
import os
import pickle
import threading

import pytest
from support.specs import offered

from stagerunner.engines.process.source_process import SourceProcess
from stagerunner.records import DATA, END, Mark
from stagerunner.wire.pipe import Inbound
from stagerunner.wire.spec import ASKED, SourceSpec


def numbers(*, stop):
    yield from range(stop)


def broken(*, stop):
    yield from range(stop)
    raise ValueError("the line is dead")


@pytest.fixture
def fed():
    """Everything that a source process sends: each frame's records and mark, and the text at the end.

    gathered: what it has gathered before it sends anything; else it runs the source.
    """

    def fed(found, records: int = 1000, *, marks: bool = False, gathered=(), **options):
        reading, out = os.pipe()
        life, alive = os.pipe()
        source_process = SourceProcess(SourceSpec(offered(found), options, 0.0, marks=marks, after=5), out, life)
        os.write(alive, records.to_bytes(ASKED, "little") * 10)
        for item in gathered:
            source_process._take(item)  # private: a thread would take them whenever it runs
        running = threading.Thread(target=source_process.run)
        running.start()
        frames, text, pipe = [], b"", Inbound(reading, 10**7)
        more = True
        while more:
            header, payload = pipe.read()
            if header.kind == DATA:
                frames.append(unpacked(header, bytes(payload)))
            else:
                assert header.kind == END
                text += payload
                more = header.more
        running.join()
        for fd in (reading, out, life, alive):
            os.close(fd)
        return frames, text.decode()

    return fed


def unpacked(header, payload):
    """The records and the mark of a frame."""
    size = len(payload) - header.last
    records = pickle.loads(payload[:size]) if header.records else []
    assert header.records == len(records)
    return records, json.loads(payload[size:]) if header.last else None


@pytest.mark.parametrize(("stop", "records"), [(0, 10), (1, 10), (10, 10), (2500, 1000)])
def test_records_are_sent_in_order_and_frames_are_not_too_long(fed, stop, records):
    frames, text = fed(numbers, records, stop=stop)

    assert [record for part, _ in frames for record in part] == list(range(stop))
    assert max((len(part) for part, _ in frames), default=0) <= records
    assert text == ""


def test_an_error_is_told_at_the_end_with_the_users_lines(fed):
    frames, text = fed(broken, stop=3)

    assert [record for part, _ in frames for record in part] == [0, 1, 2]
    assert text.startswith("ValueError: the line is dead\n")
    assert "test_source_process.py" in text


def test_an_error_longer_than_a_control_frame_comes_in_pieces(fed):
    def wordy():
        yield 1
        raise ValueError("x" * 2000)

    assert "x" * 2000 in fed(wordy)[1]


def test_a_source_that_can_not_be_called_is_told(fed):
    assert fed(numbers, wrong=1)[1].startswith("TypeError")


# Marks


class Silent:
    def read(self, after):
        return iter(())


class Told:
    def read(self, after):
        yield after


@pytest.mark.parametrize(
    ("items", "records", "frames"),
    [
        ((1, 2, Mark("a"), 3), 10, [([1, 2], "a"), ([3], None)]),
        ((1, Mark("a"), 2, Mark({"b": 1}), 3, 4), 3, [([1, 2], {"b": 1}), ([3, 4], None)]),
        ((1, 2, 3, Mark("a")), 3, [([1, 2, 3], "a")]),
        ((1, 2, 3, Mark("a"), 4), 2, [([1, 2], None), ([3], "a"), ([4], None)]),
        ((1, Mark("a"), Mark("b"), 2), 1, [([1], "b"), ([2], None)]),
        ((Mark("a"), 1), 1, [([], "a"), ([1], None)]),
    ],
)
def test_a_frame_ends_at_the_last_mark_that_fits(fed, items, records, frames):
    assert fed(Silent, records, marks=True, gathered=items) == (frames, "")


def test_a_source_with_marks_is_told_where_to_go_on(fed):
    assert fed(Told, marks=True) == ([([5], None)], "")


@pytest.mark.parametrize("position", [{1, 2}, float("nan"), object()])
def test_a_position_that_is_no_json_data_fails(fed, position):
    class Odd:
        def read(self, after):
            yield Mark(position)

    assert "the position of a Mark isn't JSON data" in fed(Odd, marks=True)[1]


def test_a_mark_of_a_generator_function_fails(fed):
    def stream():
        yield Mark(1)

    assert "a stream with marks is a class with read(after)" in fed(stream)[1]


def test_a_mark_needs_a_position():
    with pytest.raises(TypeError, match="None stands for the beginning"):
        Mark(None)
