from __future__ import annotations

import select

import pytest

from stagerunner.engines.bell import Bell


@pytest.fixture
def bell():
    made = Bell()
    yield made
    if not made.closed:
        made.close()


def rings(bell: Bell) -> bool:
    return bool(select.select([bell.fd], [], [], 0)[0])


def test_it_rings_until_it_is_silenced(bell):
    for _ in range(100_000):  # more than a pipe holds
        bell.ring()
    assert rings(bell)
    for _ in range(100):
        bell.silence()
    assert not rings(bell)


def test_once_closed_it_no_longer_rings(bell):
    bell.close()
    bell.ring()
    assert bell.closed
