from __future__ import annotations

import os
import stat
from math import lcm

import pytest

from stagerunner.engines.process.parent.wiring import wire


@pytest.fixture
def wired():
    made = []

    def wired(*widths: int):
        made.append(wire([1, *widths, 1]))
        return made[-1]

    yield wired
    for wiring in made:
        for connection in {*wiring.heads, *wiring.returns, *wiring.theirs}:
            connection.close()


def is_socket(connection) -> bool:
    return stat.S_ISSOCK(os.fstat(connection.fileno()).st_mode)


@pytest.mark.parametrize("widths", [(1,), (2,), (1, 1), (2, 3), (3, 2, 2), (4, 6)])
def test_there_are_as_many_links_as_can_occur(wired, widths):
    wiring = wired(*widths)
    between = [lcm(up, down) for up, down in zip((1, *widths), (*widths, 1), strict=True)]

    assert len(wiring.reading) == len(wiring.writing) == sum(between)
    assert (len(wiring.heads), len(wiring.returns)) == (widths[0], widths[-1])
    assert len(wiring.theirs) == 2 * sum(between) - len(wiring.heads) - len(wiring.returns)


def test_links_are_one_way_and_only_the_return_links_are_duplex(wired):
    wiring = wired(2, 3)

    assert [is_socket(connection) for connection in wiring.heads] == [False] * 2
    assert [is_socket(connection) for connection in wiring.returns] == [True] * 3
    assert sum(is_socket(connection) for connection in wiring.theirs) == 3


def test_what_is_written_at_one_end_is_read_at_the_other(wired):
    wiring = wired(2, 3)
    for (place, up, down), reader in wiring.reading.items():
        os.write(wiring.writing[place - 1, up, down].fileno(), bytes([place, up, down]))

        assert os.read(reader.fileno(), 10) == bytes([place, up, down])
