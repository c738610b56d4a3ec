"""Runs many seeds on all cores, and reports what they met and which broke a promise."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from simulator.disk import Violation
from simulator.world import World, simulate

PIECE = 500
"""Seeds a process takes at a time."""


class Met(NamedTuple):
    """figures: how often what happened. broken: what the oracle says to a seed."""

    figures: Counter[str]
    broken: dict[int, str]


def on_all_cores(seeds: Sequence[int]) -> Met:
    pieces = [seeds[start : start + PIECE] for start in range(0, len(seeds), PIECE)]
    whole = Met(Counter(), {})
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for figures, broken in pool.map(one_by_one, pieces):
            whole.figures.update(figures)
            whole.broken.update(broken)
    return whole


def one_by_one(seeds: Sequence[int]) -> Met:
    met = Met(Counter(), {})
    for seed in seeds:
        try:
            met.figures.update(_figures(simulate(seed)))
        except Violation as objection:
            met.broken[seed] = str(objection)
    return met


def _figures(world: World) -> dict[str, int]:
    return {
        "seeds": 1,
        "deaths": world.deaths,
        "of them kills": world.kills,
        "deaths of the parent": world.lives - 1,
        "regrouped": int(world.regrouped),
        "resumed with a sink ahead": world.led,
    }
