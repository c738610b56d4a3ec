from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stagerunner.wire.arena import SPAN, Lane, Ref, address_of, create

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no lane elsewhere")


@pytest.fixture
def lane():
    lane = Lane(create(3), 3)
    yield lane
    lane.close()


def test_who_opens_the_same_file_sees_the_same_bytes(lane):
    other = Lane(os.dup(lane.fd), 3)
    lane.view(5, Ref(2, 64, 3))[:] = b"abc"

    assert bytes(other.view(5, Ref(2, 64, 3))) == b"abc"
    assert bytes(other.view(5, Ref(1, 64, 3))) == bytes(3)
    other.close()


def test_a_buffer_is_found_by_its_address_in_the_place_of_its_frame_only(lane):
    view = lane.view(5, Ref(2, 64, 100)).toreadonly()

    assert lane.find(5, view[10:20]) == Ref(2, 74, 10)
    assert lane.find(4, view) is None
    assert lane.find(5, memoryview(b"elsewhere")) is None


def test_nothing_is_found_in_a_lane_that_was_never_used(lane):
    assert lane.find(0, memoryview(b"anything")) is None


def test_a_place_is_held_while_anything_looks_into_it(lane):
    view = lane.view(5, Ref(2, 0, 100))
    part = view.toreadonly()[3:4]
    assert lane.held(range(8)) == (5,)

    del view
    assert lane.held(range(8)) == (5,)
    del part
    assert lane.held(range(8)) == ()


def test_what_is_held_outlives_the_lane(lane):
    kept = Lane(create(1), 1)
    view = kept.view(0, Ref(0, 0, 4))
    view[:] = b"kept"

    kept.close()

    assert bytes(view) == b"kept"


def test_slots_do_not_overlap(lane):
    first, second = lane.view(0, Ref(0, 0, 8)), lane.view(0, Ref(1, 0, 8))

    assert address_of(second) - address_of(first) == SPAN


def test_where_the_address_space_is_bounded_there_is_no_lane():
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31));"
        "from stagerunner.wire.arena import create; print(create(3))"
    )

    ended = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, timeout=30, check=True)

    assert ended.stdout == "None\n"
