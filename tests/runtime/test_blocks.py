from __future__ import annotations

import sys

import pytest

from stagerunner.records import DATA
from stagerunner.runtime.blocks import BUDGET, PATIENCE, Loaded, Places
from stagerunner.window.splits import Sent
from stagerunner.wire.arena import FROM, PIPE, Lane, create
from stagerunner.wire.metadata import Notes

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no lane elsewhere")

HEAVY = BUDGET // 4
LARGE = b"a" * HEAVY


@pytest.fixture
def lane():
    lane = Lane(create(2), 2)
    yield lane
    lane.close()


@pytest.fixture
def places(lane):
    places = Places()
    places.begin(lane)
    return places


def sent(places, sequence, payload=b"", **more):
    notes = Notes()
    places.outgoing(Sent(sequence, DATA, None, **more), payload, notes)
    return notes.place


def test_light_frames_get_no_place(places):
    places.learn(FROM - 1)

    assert (sent(places, 0), places.crowded) == (-1, False)


def test_heavy_frames_get_one_each_as_far_as_the_budget_goes(places):
    places.learn(HEAVY)

    given = [sent(places, sequence) for sequence in range(4)]

    assert (len({*given[:3]}), given[3]) == (3, -1)
    assert places.crowded


def test_a_place_is_free_when_its_frame_is_back_and_is_taken_again_first(places):
    places.learn(HEAVY)
    sent(places, 0)
    second = sent(places, 1)

    places.back(1, Notes(heavy=HEAVY))

    assert sent(places, 2) == second


def test_a_place_that_somebody_looks_into_is_not_given_away(places, lane):
    loaded = places.load([LARGE])
    first = sent(places, 0, loaded)
    view = places.opened(Notes(place=first, laden=loaded.laden), memoryview(loaded.body))
    places.back(0, Notes(heavy=HEAVY))

    assert sent(places, 1) != first
    del view
    assert sent(places, 2) == first


def test_a_place_that_a_worker_holds_waits_until_that_worker_lets_go(places):
    places.learn(HEAVY)
    first = sent(places, 0)
    places.back(0, Notes(heavy=HEAVY, held={(1, 0): (first,)}))

    assert sent(places, 1) != first
    places.back(1, Notes(heavy=HEAVY, held={(1, 0): ()}))
    assert first in (sent(places, 2), sent(places, 3))


def test_suspects_get_none(places):
    places.learn(HEAVY)

    assert sent(places, 0, marked=True) == -1


def test_after_many_light_frames_none_are_given(places):
    places.learn(HEAVY)
    for _ in range(PATIENCE + 1):
        places.learn(0)

    assert sent(places, 0) == -1


def test_the_first_heavy_records_find_their_place_at_once(places):
    loaded = places.load([LARGE])

    assert isinstance(loaded, Loaded)
    assert (loaded.place >= 0, len(loaded.body)) == (True, 0)
    assert loaded.size > HEAVY


def test_landed_records_are_the_same_and_lie_nowhere(places):
    loaded = places.load([LARGE, "b"])

    landed = places.landed(loaded)
    places.begin(None)

    stream, _ = places.opened(Notes(laden=landed.laden), memoryview(landed.body))
    assert (landed.place, [ref.owner for ref in landed.laden]) == (-1, [PIPE])
    assert places.landed(landed) is landed
    assert LARGE in bytes(stream)


def test_records_that_can_not_be_pickled_leave_their_place(places):
    places.learn(HEAVY)
    with pytest.raises(AttributeError):
        places.load([LARGE, lambda: None])

    assert sum(sent(places, n) >= 0 for n in range(4)) == 3
