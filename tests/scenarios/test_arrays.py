"""Large arrays through a chain: the same ones come out, even if they are kept, too large, or a worker dies."""

from __future__ import annotations

import sys

import pytest
from support.leaks import needs_proc

from stagerunner.runtime.blocks import Blocks
from stagerunner.wire.arena import Arena

numpy = pytest.importorskip("numpy")

needs_arena = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no arena elsewhere")
pytestmark = needs_proc

SIZE = 300_000

STAGES = """
import numpy as np
import stagerunner

@stage
def plus_one(array):
    return array + 1

@stage
def filled(array):
    result = stagerunner.empty(array.shape, array.dtype)
    np.add(array, 1, out=result)
    return result

@stage
def deadly(array):
    if array[0] == 7 and once("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return array

@stage
def part(array):
    return {"part": array[100_000:], "first": int(array[0])}

@stage
def told(array):
    count("read-only", not array.flags.writeable)
    return array

@stage(state=True)
class Keeps:
    "Remembers all it has seen."
    def __init__(self):
        self.seen = []
    def process(self, array):
        self.seen.append(array)
        return array
    def flush(self):
        yield np.array([int(one[0]) for one in self.seen])

@stage(state=True)
class Sums:
    def __init__(self):
        self.sum = 0
    def process(self, array):
        self.sum += int(array[0])
        if array[0] == 9 and once("died"):
            os.kill(os.getpid(), signal.SIGKILL)
        return array
    def flush(self):
        yield np.full(5, self.sum)
    def snapshot(self):
        return self.sum
    def restore(self, data):
        self.sum = data
"""


def arrays(count):
    return (numpy.full(SIZE, number, dtype=numpy.uint8) for number in range(count))


@pytest.fixture
def project(project):
    project.plugin(STAGES)
    return project


def firsts(results):
    """The first number of each array; every array has to be whole."""
    found = []
    for array in results:
        assert array.min() == array.max()
        found.append(int(array[0]))
    return found


@pytest.mark.parametrize("engine", ["process", "inline"])
def test_arrays_come_out_as_they_went_in_and_read_only(project, engine):
    results = project.results("told", "same", "told", records=arrays(40), run={"engine": engine})

    assert firsts(results) == list(range(40))
    assert [stage.counters for stage in results.summary.stages if stage.counters] == [{"read-only": 40}] * 2


@pytest.mark.parametrize("stage", ["plus_one", "filled"])
def test_arrays_can_be_made_anew(project, stage):
    assert firsts(project.results(stage, stage, stage, records=arrays(40))) == [n + 3 for n in range(40)]


def test_arrays_the_caller_keeps_stay_as_they_are(project):
    kept = list(project.results("plus_one", "same", records=arrays(40)))

    assert firsts(kept) == list(range(1, 41))


def test_arrays_a_stage_keeps_stay_as_they_are(project):
    *passed, last = project.results("plus_one", "keeps", "plus_one", records=arrays(40))

    assert firsts(passed) == [n + 2 for n in range(40)]
    assert last.tolist() == [n + 2 for n in range(40)]


def test_a_part_of_an_array_is_handed_on(project):
    results = project.results("plus_one", "part", "same", records=arrays(30))

    assert [(one["first"], one["part"].size, int(one["part"][-1])) for one in results] == [
        (n + 1, SIZE - 100_000, n + 1) for n in range(30)
    ]


def test_several_workers_keep_the_order(project):
    stages = [{"use": "plus_one", "workers": 2}, {"use": "same", "workers": 3}]

    assert firsts(project.results(*stages, records=arrays(60))) == list(range(1, 61))


def test_a_death_costs_nothing(project):
    assert firsts(project.results("plus_one", "deadly", "plus_one", records=arrays(60))) == [n + 2 for n in range(60)]


def test_a_death_beside_a_stage_with_state_costs_nothing(project):
    *passed, last = project.results("plus_one", "sums", "same", records=arrays(40))

    assert firsts(passed) == list(range(1, 41))
    assert last.tolist() == [sum(range(1, 41))] * 5


@pytest.mark.parametrize("kind", [bytes, bytearray, bytes.decode])
def test_large_texts_and_bytes_come_out_as_they_went_in(project, kind):
    records = [kind(b"%c" % (97 + number % 26) * SIZE) for number in range(30)]

    assert list(project.results("same", "same", records=iter(records))) == records


def test_arrays_of_any_size_go_together(project):
    sizes = [3, 70_000, 2_000_000, 65_536, 0, 9_000_000, 100] * 6
    records = (numpy.full(size, 1, dtype=numpy.uint8) for size in sizes)

    assert [one.size for one in project.results("same", "plus_one", records=records)] == sizes


@needs_arena
def test_heavy_frames_travel_in_the_arena(project, monkeypatch):
    bodies = []
    opened = Blocks.opened
    monkeypatch.setattr(
        Blocks, "opened", lambda self, metadata, body: bodies.append(len(body)) or opened(self, metadata, body)
    )

    assert firsts(project.results("plus_one", "same", records=arrays(60))) == list(range(1, 61))

    assert sum(size < 1000 for size in bodies) > 0.9 * len(bodies)


@needs_arena
def test_blocks_that_are_given_away_while_held_would_be_noticed(project, monkeypatch):
    """The planted bug: blocks are reused although the caller still refers to their arrays."""
    monkeypatch.setattr(Arena, "held", lambda self, blocks: ())

    kept = list(project.results("plus_one", "same", records=arrays(40)))

    assert [int(array[0]) for array in kept] != list(range(1, 41))
