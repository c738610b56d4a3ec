from __future__ import annotations

import sys

import pytest

from stagerunner.records import DATA
from stagerunner.runtime.blocks import BUDGET, PATIENCE, Blocks, Loaded
from stagerunner.window.splits import Sent
from stagerunner.wire.arena import FROM, PIPE, Arena, create
from stagerunner.wire.frame import Metadata

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no arena elsewhere")

HEAVY = BUDGET // 4
LARGE = b"a" * HEAVY


@pytest.fixture
def arena():
    arena = Arena(create(2), 2)
    yield arena
    arena.close()


@pytest.fixture
def blocks(arena):
    blocks = Blocks()
    blocks.begin(arena)
    return blocks


def sent(blocks, sequence, payload=b"", **more):
    metadata = Metadata()
    blocks.outgoing(Sent(sequence, DATA, None, **more), payload, metadata)
    return metadata.block


def test_light_frames_get_no_place(blocks):
    blocks.learn(FROM - 1)

    assert (sent(blocks, 0), blocks.crowded) == (-1, False)


def test_heavy_frames_get_one_each_as_far_as_the_budget_goes(blocks):
    blocks.learn(HEAVY)

    given = [sent(blocks, sequence) for sequence in range(4)]

    assert (len({*given[:3]}), given[3]) == (3, -1)
    assert blocks.crowded


def test_a_place_is_free_when_its_frame_is_back_and_is_taken_again_first(blocks):
    blocks.learn(HEAVY)
    sent(blocks, 0)
    second = sent(blocks, 1)

    blocks.back(1, Metadata(heavy=HEAVY))

    assert sent(blocks, 2) == second


def test_a_place_that_somebody_looks_into_is_not_given_away(blocks, arena):
    loaded = blocks.load([LARGE])
    first = sent(blocks, 0, loaded)
    view = blocks.opened(Metadata(block=first, buffer_refs=loaded.buffer_refs), memoryview(loaded.body))
    blocks.back(0, Metadata(heavy=HEAVY))

    assert sent(blocks, 1) != first
    del view
    assert sent(blocks, 2) == first


def test_a_place_that_a_worker_holds_waits_until_that_worker_lets_go(blocks):
    blocks.learn(HEAVY)
    first = sent(blocks, 0)
    blocks.back(0, Metadata(heavy=HEAVY, held={(1, 0): (first,)}))

    assert sent(blocks, 1) != first
    blocks.back(1, Metadata(heavy=HEAVY, held={(1, 0): ()}))
    assert first in (sent(blocks, 2), sent(blocks, 3))


def test_suspects_get_none(blocks):
    blocks.learn(HEAVY)

    assert sent(blocks, 0, marked=True) == -1


def test_after_many_light_frames_none_are_given(blocks):
    blocks.learn(HEAVY)
    for _ in range(PATIENCE + 1):
        blocks.learn(0)

    assert sent(blocks, 0) == -1


def test_the_first_heavy_records_find_their_place_at_once(blocks):
    loaded = blocks.load([LARGE])

    assert isinstance(loaded, Loaded)
    assert (loaded.block >= 0, len(loaded.body)) == (True, 0)
    assert loaded.size > HEAVY


def test_landed_records_are_the_same_and_lie_nowhere(blocks):
    loaded = blocks.load([LARGE, "b"])

    landed = blocks.landed(loaded)
    blocks.begin(None)

    stream, _ = blocks.opened(Metadata(buffer_refs=landed.buffer_refs), memoryview(landed.body))
    assert (landed.block, [ref.owner for ref in landed.buffer_refs]) == (-1, [PIPE])
    assert blocks.landed(landed) is landed
    assert LARGE in bytes(stream)


def test_records_that_can_not_be_pickled_leave_their_place(blocks):
    blocks.learn(HEAVY)
    with pytest.raises(AttributeError):
        blocks.load([LARGE, lambda: None])

    assert sum(sent(blocks, n) >= 0 for n in range(4)) == 3
