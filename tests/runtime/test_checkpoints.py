from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

from stagerunner.journal import decode_snapshots
from stagerunner.runtime.checkpoints import Checkpoints
from stagerunner.window.core import Window


@pytest.fixture
def committed():
    return []


@pytest.fixture
def checkpoints(committed):
    dispatch = SimpleNamespace(stopped=None, bytes_journaled=7)
    dispatch.stopped_by = lambda stage: setattr(dispatch, "stopped", stage)
    return Checkpoints(Window(1000), dispatch, lambda: committed.append("row"), ["take"], marks=False)


def test_a_resumed_chain_stands_where_its_row_stands(checkpoints):
    row = {"position": 40, "accepted": 3, "stopped": 0, "bytes": 7, "order": ["take"], "snapshots": None}

    checkpoints.go_on(row, {0: [1, 2]})

    again = checkpoints.row()
    assert again | {"snapshots": None} == row
    assert decode_snapshots(again["snapshots"]) == {0: [1, 2]}
    assert checkpoints._window.stopped


@pytest.mark.parametrize("at_mark", [True, False])
def test_a_barrier_is_committed_only_at_a_mark(checkpoints, committed, at_mark):
    checkpoints._window.at_mark = at_mark

    checkpoints.barrier_back(memoryview(pickle.dumps({0: [1, 2]})))

    assert checkpoints.snapshots == {0: [1, 2]}
    assert committed == ["row"] * at_mark
