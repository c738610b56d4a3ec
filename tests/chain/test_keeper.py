"""What the keeper does with workers is in test_processes; here is how it begins and ends."""

from __future__ import annotations

import os
import socket

import pytest

from stagerunner.chain import keeper as keepers
from stagerunner.chain.keeper import USUAL, Keeper
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


def test_it_imports_ahead_only_while_nobody_asks_for_anything(monkeypatch):
    imported = []
    monkeypatch.setattr(keepers, "import_module", imported.append)
    ours, theirs = socket.socketpair()
    life, ours_of_life = os.pipe()
    keeper = Keeper(theirs, life)

    assert [keeper._turn() for _ in USUAL] == [True] * len(USUAL)
    assert sorted(imported) == sorted(USUAL)
    keeper._ahead = ["more"]
    os.close(ours_of_life)
    assert not keeper._turn()
    assert "more" not in imported

    for end in (ours.fileno(), theirs.fileno(), life, keeper._wake, keeper._woken):
        os.close(end)
    ours.detach()
    theirs.detach()
