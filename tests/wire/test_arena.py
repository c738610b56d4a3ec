from __future__ import annotations

import os
import subprocess
import sys

import pytest

from stagerunner.wire.arena import SPAN, Arena, Ref, address_of, create

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no arena elsewhere")


@pytest.fixture
def arena():
    arena = Arena(create(3), 3)
    yield arena
    arena.close()


def test_two_arenas_of_one_file_share_their_bytes(arena):
    other = Arena(os.dup(arena.fd), 3)
    arena.view(5, Ref(2, 64, 3))[:] = b"abc"

    assert bytes(other.view(5, Ref(2, 64, 3))) == b"abc"
    assert bytes(other.view(5, Ref(1, 64, 3))) == bytes(3)
    other.close()


def test_a_buffer_is_found_by_its_address_in_the_block_of_its_frame_only(arena):
    view = arena.view(5, Ref(2, 64, 100)).toreadonly()

    assert arena.find(5, view[10:20]) == Ref(2, 74, 10)
    assert arena.find(4, view) is None
    assert arena.find(5, memoryview(b"elsewhere")) is None


def test_nothing_is_found_in_an_unused_arena(arena):
    assert arena.find(0, memoryview(b"anything")) is None


def test_a_block_is_held_while_a_buffer_of_it_exists(arena):
    view = arena.view(5, Ref(2, 0, 100))
    part = view.toreadonly()[3:4]
    assert arena.held(range(8)) == (5,)

    del view
    assert arena.held(range(8)) == (5,)
    del part
    assert arena.held(range(8)) == ()


def test_a_held_buffer_outlives_the_arena(arena):
    kept = Arena(create(1), 1)
    view = kept.view(0, Ref(0, 0, 4))
    view[:] = b"kept"

    kept.close()

    assert bytes(view) == b"kept"


def test_segments_do_not_overlap(arena):
    first, second = arena.view(0, Ref(0, 0, 8)), arena.view(0, Ref(1, 0, 8))

    assert address_of(second) - address_of(first) == SPAN


def test_with_too_little_address_space_there_is_no_arena():
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31));"
        "from stagerunner.wire.arena import create; print(create(3))"
    )

    ended = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, timeout=30, check=True)

    assert ended.stdout == "None\n"
