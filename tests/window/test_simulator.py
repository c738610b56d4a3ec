"""The promises of window, loop and delivery, against every seed's worst luck."""

from __future__ import annotations

import pytest
from simulator.seeds import on_all_cores
from simulator.world import simulate

SEEDS = 12_000
FULL = 1_000_000

pytestmark = pytest.mark.reliability("simulator")


@pytest.mark.timeout(300)
def test_every_seed_keeps_the_promises(full, proved):
    met = on_all_cores(range(FULL if full else SEEDS))

    proved(**met.figures)
    assert not met.broken


def test_a_seed_is_the_same_run_every_time() -> None:
    first, second = simulate(7), simulate(7)
    assert first.moves == second.moves
    assert first.disk.outputs[0].data == second.disk.outputs[0].data


def test_the_seeds_see_all_that_can_happen() -> None:
    worlds = [simulate(seed) for seed in range(400)]
    assert {world.outcome for world in worlds} == {"complete", "failed"}
    assert any(world.expected.stopped for world in worlds)
    assert any(world.kills for world in worlds)
    assert any(world.restarts > 5 for world in worlds)
    assert any(world.skips for world in worlds)
    assert any(world.skips and world.restarts for world in worlds)
    assert any(world.regrouped for world in worlds)
    assert any(world.regrouped and world.restarts for world in worlds)
    assert any(world.in_calls > 2 for world in worlds)
    assert any(world.eased for world in worlds)
    assert any(world.led for world in worlds)
    assert any(world.gathered and world.restarts for world in worlds)
    assert any(
        world.led and letter[-1] == "KeyError"
        for world in map(simulate, (483, 683))
        for letter in world.expected.letters
    )
    assert any(letter[-1] == "Killed" for world in worlds for letter in world.expected.letters)
