from __future__ import annotations

import pytest

from stagerunner.engines.base import Ready
from stagerunner.engines.topology import groups_of
from stagerunner.errors import SetupFailed
from stagerunner.events import WorkerReady
from stagerunner.runtime.readiness import announced


@pytest.fixture
def plan(project):
    return project.plan({"use": "same", "workers": 2}, "double")


def test_each_worker_is_named_by_its_stage(plan):
    ready = Ready(((0, 0, 11), (0, 1, 12), (1, 0, 13)), ())

    assert list(announced(ready, plan, groups_of(plan), 3)) == [
        WorkerReady("same", 0, 11, 3),
        WorkerReady("same", 1, 12, 3),
        WorkerReady("double", 0, 13, 3),
    ]


def test_the_first_worker_that_could_not_be_set_up_ends_the_run(plan):
    ready = Ready(((0, 0, 11), (1, 0, 13)), ((1, 0, 13, "OSError: no such model"), (0, 0, 11, "later")))

    with pytest.raises(SetupFailed, match=r"double could not be set up \(worker 1\): OSError: no such model"):
        list(announced(ready, plan, groups_of(plan), 1))
