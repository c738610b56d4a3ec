"""A source of several parts in a worker: each split is read by its own part."""

from __future__ import annotations

import pickle
import sys
from types import ModuleType

import pytest

from stagerunner.evaluate.source_list import PartSpec, Piece, SourceList
from stagerunner.parts.source import source
from stagerunner.records import Mark, Split


@source
class Doubled:
    def __init__(self, *, by=2):
        self.by = by

    def splits(self, after): ...

    def read(self, split):
        return [number * self.by for number in split.data]

    def identity(self):
        return {"by": self.by}


@source
class Pure(Doubled):
    pure = True


@source
def stream(*, stop=3):
    yield from range(stop)


@source
class Marked:
    def read(self, after):
        yield Mark(1)

    def identity(self):
        return "topic"


@pytest.fixture
def listed(monkeypatch):
    module = ModuleType("listed_sources")
    for part in (Doubled, Pure, stream, Marked):
        setattr(module, part.__name__, part)
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def listed(*parts):
        return SourceList(parts=tuple(PartSpec(f"listed_sources:{name}", *more) for name, *more in parts))

    return listed


def split(part, data):
    return Split(data=Piece(part, pickle.dumps(data)), size=1, position=None)


def test_a_split_is_read_by_its_part_with_that_parts_options(listed):
    both = listed(("Doubled", {"by": 3}, "fail"), ("Doubled", {}, "skip"))
    assert both.read(split(0, [1, 2])) == [3, 6]
    assert both.read(split(1, [1, 2])) == [2, 4]
    assert [both.on_error(split(part, [])) for part in (0, 1)] == ["fail", "skip"]


def test_records_of_a_stream_come_ready_made(listed):
    both = listed(("stream", {}, "fail"), ("Doubled", {}, "fail"))
    assert both.read(split(0, [7, 8])) == [7, 8]
    assert both.instances[0] is None


def test_a_stream_with_marks_has_an_identity_and_a_generator_has_none(listed):
    parts = listed(("Doubled", {}, "fail"), ("stream", {}, "fail"), ("Marked", {}, "fail"))
    assert parts.identity() == [{"by": 2}, None, "topic"]


def test_it_keeps_nothing_if_no_part_that_reads_does(listed):
    assert listed(("Pure", {}, "fail"), ("stream", {}, "fail")).pure
    assert not listed(("Pure", {}, "fail"), ("Doubled", {}, "fail")).pure


def test_the_longest_record_is_told_to_each_part(listed):
    parts = listed(("Doubled", {}, "fail"), ("stream", {}, "fail"))
    parts.max_record = 5
    assert parts.instances[0].max_record == 5
