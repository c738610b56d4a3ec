"""The parts of a source that is a list give their splits one after the other."""

from __future__ import annotations

import pickle

import pytest

from stagerunner.evaluate.source_list import Piece
from stagerunner.parts.source import Want
from stagerunner.records import Origin
from stagerunner.runtime.input import MarkedSource, PendingSplit, Rereadable
from stagerunner.runtime.parts_in_order import PartsInOrder


class Numbers(Rereadable):
    """Gives these numbers, a split each; a position is how many came before."""

    prompt = True
    error = None

    def __init__(self, numbers, at=None):
        self.numbers, self.at, self.begin = numbers, at or 0, at or 0
        self.closed = self.remembers = False

    @property
    def ended(self):
        return self.at == len(self.numbers) or self.error is not None

    def next(self, want):
        if self.ended:
            return None
        self.at += 1
        return PendingSplit(self.numbers[self.at - 1], 1, self.at, 1, self.at - 1)

    def locate(self, payload, base, record, place=None):
        return Origin("" if self.numbers[0] else "zeros.txt", None, base + record)

    def remember(self):
        self.remembers = True

    def rewind(self):
        self.at = 0

    def close(self):
        self.closed = True


class Topic(MarkedSource, Numbers):
    def __init__(self, numbers, at=None):
        MarkedSource.__init__(self, marks=True)
        Numbers.__init__(self, numbers, at)


def listed(*parts, after=None, marks=False, rereads=True):
    """The list, and the sources that it has made so far."""
    made = []

    def making(kind, numbers):
        def make(at, before):
            made.append(kind(numbers, at))
            return made[-1]

        return make

    names = [f"part {index}" for index in range(len(parts))]
    makes = [making(*part) if isinstance(part, tuple) else making(Numbers, part) for part in parts]
    return PartsInOrder(makes, names, after, marks=marks, rereads=rereads), made


def drawn(source, most=100):
    found = []
    while len(found) < most and (pending := source.next(Want())) is not None:
        found.append(pending)
    return found


def numbers(splits):
    return [pickle.loads(split.payload) for split in splits]


def test_each_part_begins_when_the_one_before_has_ended():
    source, made = listed([1, 2], [3])
    assert numbers(drawn(source, 2)) == [Piece(0, 1), Piece(0, 2)]
    assert len(made) == 1
    assert numbers(drawn(source)) == [Piece(1, 3)]
    assert source.ended


def test_a_position_says_which_part_and_where_in_it():
    source, _ = listed([1, 2], [3, 4])
    positions = [split.position for split in drawn(source)]
    assert positions == [{"part": part, "at": at} for part, at in ((0, 1), (0, 2), (1, 1), (1, 2))]


@pytest.mark.parametrize("taken", range(4))
def test_a_resume_goes_on_behind_any_position(taken):
    first = drawn(listed([1, 2], [3, 4])[0], taken)
    again, _ = listed([1, 2], [3, 4], after=first[-1].position if first else None)
    assert numbers([*first, *drawn(again)]) == [Piece(0, 1), Piece(0, 2), Piece(1, 3), Piece(1, 4)]


def test_the_end_of_a_part_is_a_mark_where_the_list_has_marks():
    marks = []
    source, _ = listed((Topic, [1, 2]), [3], marks=True)
    source.late_mark = marks.append
    drawn(source)
    assert marks == [{"part": 1, "at": None}]


def test_the_position_in_a_stream_tells_how_many_records_came_before():
    source, _ = listed((Topic, [1, 2]), marks=True)
    assert [split.position for split in drawn(source)] == [
        {"part": 0, "at": 1, "before": 1},
        {"part": 0, "at": 2, "before": 2},
    ]


def test_an_error_ends_the_list_there():
    source, made = listed([1, 2], [3])
    drawn(source, 1)
    made[0].error = OSError("gone")
    assert (source.ended, source.error, source.next(Want())) == (True, made[0].error, None)


def test_a_record_stands_where_its_part_says_or_in_the_part():
    source, _ = listed([0], [1])
    origins = [source.locate(one.payload, one.base, 0, one.place) for one in drawn(source)]
    assert origins == [Origin("zeros.txt", None, 0), Origin("part 1", None, 0)]


def test_a_rewind_begins_again_with_the_first_part():
    source, made = listed([1], [2])
    source.remember()
    drawn(source)
    source.rewind()
    assert numbers(drawn(source)) == [Piece(0, 1), Piece(1, 2)]
    assert all(one.remembers for one in made)


def test_every_part_that_was_begun_is_closed():
    source, made = listed([1], [2], [3])
    drawn(source, 2)
    source.close()
    assert [one.closed for one in made] == [True, True]
    assert source.ended
