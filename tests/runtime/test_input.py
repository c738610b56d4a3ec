from __future__ import annotations

import os
import pickle
import selectors
from contextlib import closing

import pytest

from stagerunner.errors import RunFailed, UsageError
from stagerunner.parts.source import Want
from stagerunner.records import Origin, Split
from stagerunner.runtime.input import AHEAD, GivenRecords, SourceSplits, StandardInput, stream_of


def drained(split_source, want: Want) -> list:
    """The payloads of all splits that can be had now."""
    found = []
    while (pending := split_source.next(want)) is not None:
        found.append(pickle.loads(pending.payload))
    return found


# Records given


def test_given_records_come_as_many_at_a_time_as_wanted():
    split_source = GivenRecords(range(7))

    first = split_source.next(Want(records=3))

    assert (pickle.loads(first.payload), first.most, first.base) == ([0, 1, 2], 3, 0)
    assert drained(split_source, Want(records=2)) == [[3, 4], [5, 6]]
    assert split_source.ended


def test_given_records_are_drawn_only_when_asked_for():
    drawn = []
    split_source = GivenRecords(drawn.append(n) or n for n in range(100))

    split_source.next(Want(records=5))

    assert len(drawn) == 5


def test_an_iterable_that_raises_gives_what_came_before():
    def records():
        yield 1
        raise ValueError("no more")

    split_source = GivenRecords(records())

    assert drained(split_source, Want(records=10)) == [[1]]
    assert split_source.ended
    assert isinstance(split_source.error, ValueError)


def test_given_records_that_can_not_be_pickled_end_the_run():
    split_source = GivenRecords([1, lambda: 2])

    assert split_source.next(Want(records=10)) is None
    assert split_source.ended
    assert split_source.error is not None


def test_a_given_record_is_found_by_its_number():
    assert GivenRecords([]).locate(b"", 40, 2) == Origin("", None, 42)


# A splittable source


class Numbers:
    """Numbers below a hundred, as many a split as wanted."""

    def splits(self, after, want):
        at = after or 0
        while at < 100:
            size = want.records
            yield Split([at, min(100, at + size)], size, min(100, at + size), size)
            at += size

    def locate(self, split, number):
        return Origin("numbers", None, split.data[0] + number)


def test_splits_follow_what_is_wanted():
    split_source = SourceSplits(Numbers(), None)

    assert pickle.loads(split_source.next(Want(records=30)).payload) == [0, 30]
    assert drained(split_source, Want(records=50)) == [[30, 80], [80, 100]]
    assert split_source.ended


def test_splits_go_on_after_a_position():
    split_source = SourceSplits(Numbers(), 90)

    assert drained(split_source, Want(records=50)) == [[90, 100]]


def test_a_rewound_source_is_cut_as_it_was():
    split_source = SourceSplits(Numbers(), None)
    split_source.remember()
    before = [pickle.loads(split_source.next(Want(records=size)).payload) for size in (10, 40)]

    split_source.rewind()

    assert drained(split_source, Want(records=25)) == [*before, [50, 75], [75, 100]]


def test_a_rewound_source_is_cut_by_number_where_it_was_cut_by_number():
    class Asked(Numbers):
        def splits(self, after, want=None):
            while len(wanted) < 6:
                wanted.append(want.exact)
                yield Split("some", 1)

    wanted = []
    split_source = SourceSplits(Asked(), None)
    split_source.remember()
    for exact in (True, False, True):
        split_source.next(Want(exact=exact))

    split_source.rewind()
    for _ in range(3):
        split_source.next(Want())

    assert wanted == [True, False, True] * 2


def test_a_source_that_asks_for_no_want_gets_none():
    class Plain:
        def splits(self, after):
            yield Split("all", 1)

    assert drained(SourceSplits(Plain(), None), Want()) == ["all"]


@pytest.mark.parametrize("data", [None, lambda: 1])
def test_a_source_that_fails_ends_the_run_with_its_own_lines(data):
    class Failing:
        def splits(self, after):
            yield Split(1, 1)
            if data is None:
                raise ValueError("the disk is gone")
            yield Split(data, 1)

    split_source = SourceSplits(Failing(), None)

    assert drained(split_source, Want()) == [1]
    assert split_source.ended
    assert isinstance(split_source.error, RunFailed)
    assert data or "ValueError: the disk is gone" in str(split_source.error)


def test_a_source_record_is_found_by_the_source():
    split_source = SourceSplits(Numbers(), None)
    payload = split_source.next(Want(records=30)).payload

    assert split_source.locate(payload, None, 7) == Origin("numbers", None, 7)


def test_a_source_that_can_not_tell_is_not_asked_twice():
    class Silent(Numbers):
        def locate(self, split, number):
            raise ValueError

    assert SourceSplits(Silent(), None).locate(pickle.dumps([0, 1]), None, 7) == Origin("", None, 7)


def test_a_source_that_is_still_looking_is_asked_again():
    class Looking:
        def splits(self, after):
            yield Split(None, 0, None, 0)
            yield Split("found", 1)

    split_source = SourceSplits(Looking(), None)

    assert split_source.next(Want()) is None
    assert not split_source.ended
    assert split_source.prompt
    assert drained(split_source, Want()) == ["found"]
    assert split_source.ended


# Standard input


class Dispatch:
    """Gives every piece of input as a split of its own."""

    def feed(self, data):
        return [Split(data, len(data))]

    def feed_end(self):
        return [Split(b"END", 3)]


@pytest.fixture
def selector():
    with selectors.DefaultSelector() as selector:
        yield selector


def turn(selector):
    for key, _ in selector.select(0):
        key.data()


def test_standard_input_is_read_when_something_is_there(selector):
    reading, writing = os.pipe()
    with closing(os.fdopen(reading)), closing(os.fdopen(writing, "wb", 0)) as pipe:
        split_source = StandardInput(Dispatch(), selector, reading)
        turn(selector)
        assert split_source.next(Want()) is None
        assert not split_source.ended

        pipe.write(b"hello")
        turn(selector)
        assert drained(split_source, Want()) == [b"hello"]

        pipe.close()
        turn(selector)
        assert drained(split_source, Want()) == [b"END"]
        assert split_source.ended


def test_reading_pauses_while_enough_is_waiting(selector):
    reading, writing = os.pipe()
    with closing(os.fdopen(reading)), closing(os.fdopen(writing, "wb", 0)) as pipe:
        split_source = StandardInput(Dispatch(), selector, reading)
        for _ in range(AHEAD + 1):
            pipe.write(b"x")
            turn(selector)
        assert not selector.get_map()

        split_source.next(Want())

        assert len(selector.get_map()) == 1
        split_source.close()
        assert not selector.get_map()


def test_a_file_as_standard_input_is_read_without_being_polled(selector, tmp_path):
    (tmp_path / "in").write_bytes(b"all of it")
    with open(tmp_path / "in") as file:
        split_source = StandardInput(Dispatch(), selector, file.fileno())

        assert drained(split_source, Want()) == [b"all of it", b"END"]
        assert split_source.ended


def test_one_piece_at_a_time_is_read_of_a_line_that_never_ends(selector):
    """Were it read until a record is complete, the parent would hear nothing else meanwhile."""

    class Endless:
        fed = 0

        def feed(self, data):
            self.fed += 1
            return []

    source = Endless()
    with open("/dev/zero", "rb") as zeros:
        split_source = StandardInput(source, selector, zeros.fileno())

        assert split_source.next(Want()) is None
        assert (source.fed, split_source.prompt, split_source.ended) == (1, True, False)


def test_what_cannot_be_read_is_an_error_of_the_source(selector, tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    split_source = StandardInput(Dispatch(), selector, folder, own=True)

    assert drained(split_source, Want()) == [b"END"]
    assert "can't be read" in str(split_source.error)
    split_source.close()
    with pytest.raises(OSError):
        os.fstat(folder)


def test_a_stream_that_cannot_be_opened_is_a_mistake_of_the_call(selector):
    class Gone:
        stream = True

        def open_stream(self):
            raise FileNotFoundError("there is no such pipe")

    with pytest.raises(UsageError, match="no such pipe"):
        stream_of(Gone(), selector)
    assert stream_of(Numbers(), selector) is None
