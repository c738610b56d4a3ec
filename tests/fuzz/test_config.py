"""P6: any bytes as a config are mistakes with a place, never an exception."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from support.any_bytes import SEEDS, examine

from stagerunner.config.read import read_config

ROUNDS = 2500
PIECE = 250
"""Configs a process takes at a time."""


@pytest.mark.reliability("any bytes as a config")
@pytest.mark.timeout(300)
def test_any_bytes_are_mistakes_with_a_place_and_never_an_exception(proved):
    pieces = [range(start, start + PIECE) for start in range(0, ROUNDS, PIECE)]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        proved(configs=sum(pool.map(examine, pieces)))


def test_the_seeds_themselves_are_right():
    assert [read_config(seed.decode()).mistakes for seed in SEEDS] == [(), (), ()]
