from __future__ import annotations

import pickle

import pytest
from support.project import Project


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_what_workers_need_to_know_can_be_sent(planned):
    work = planned({"use": "shout", "with": {"times": 2}}).stages[0].work
    assert pickle.loads(pickle.dumps(work)) == work


def test_the_modules_of_our_own_parts_are_known(project):
    stages = ["same", "text.strip", "text.upper", {"use": "take", "with": {"n": 1}}]
    plan = project.plan(*stages, source={"use": "range", "with": {"stop": 1}}, sink="null")

    ours = ("sampling", "sinks.null", "sources.range", "text")
    assert plan.our_modules == [f"stagerunner_parts.{name}" for name in ours]


def test_a_planned_stage_is_called_as_its_work_is(planned):
    assert planned({"use": "shout", "name": "louder"}).stages[0].name == "louder"
