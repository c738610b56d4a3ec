from __future__ import annotations

import inspect

import pytest

from stagerunner.engines.base import Transport, Trouble
from stagerunner.engines.inline import InlineTransport
from stagerunner.engines.process.parent.worker_pool import WorkerPool

METHODS = [name for name, found in vars(Transport).items() if callable(found) and not name.startswith("_")]


@pytest.mark.parametrize("engine", [WorkerPool, InlineTransport])
@pytest.mark.parametrize("name", METHODS)
def test_every_engine_has_every_method_with_the_same_arguments(engine, name):
    wanted = inspect.signature(getattr(Transport, name)).parameters
    given = inspect.signature(getattr(engine, name)).parameters

    assert list(given) == list(wanted)


def test_a_trouble_has_no_culprit_unless_it_names_one():
    trouble = Trouble("", 0, 0, "the fork server has ended")

    assert (trouble.index, trouble.split, trouble.origin, trouble.overdue) == (-1, -1, -1, False)
