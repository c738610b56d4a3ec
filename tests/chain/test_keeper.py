"""What the keeper does with workers is in test_processes; here is how it begins and ends."""

from __future__ import annotations

import os
import socket

import pytest

from stagerunner.chain.processes import run_module


@pytest.mark.parametrize("gone", ["socket", "life"])
def test_it_leaves_in_good_order_when_either_tie_to_the_parent_is_cut(gone):
    ours, theirs = socket.socketpair()
    life, ours_of_life = os.pipe()
    keeper = run_module("stagerunner.chain.keeper", (theirs.fileno(), life), 2, "7")
    theirs.close()
    os.close(life)
    ties = {"socket": ours.close, "life": lambda: os.close(ours_of_life)}
    ties.pop(gone)()
    assert keeper.wait(30) == 0
    for cut in ties.values():
        cut()
