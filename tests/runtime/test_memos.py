"""What the parent says about memos before a worker starts."""

from __future__ import annotations

import pytest
from support.project import Project

from stagerunner.events import Notice
from stagerunner.runtime.memos import usable


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def planned(project, *memos):
    (project / "in.txt").write_text("")
    stages = [{"use": "same", "name": f"s{number}", "memo": memo} for number, memo in enumerate(memos)]
    return project.plan(*stages, source="in.txt", sink="out.txt")


def test_files_that_can_be_used_are_made(project):
    plan = planned(project, "a.memo", "deep/b.memo")
    assert usable(plan, pytest.fail) == plan
    assert (project / "a.memo").exists()
    assert (project / "deep" / "b.memo").exists()


def test_the_stages_of_a_file_that_can_not_be_used_do_without_and_it_is_said_once(project):
    (project / "bad").write_bytes(b"no database" * 1000)
    told = []
    plan = usable(planned(project, "bad", "good", "bad"), told.append)
    assert [stage.work.memo is None for stage in plan.stages] == [True, False, True]
    assert told == [Notice(f"continuing without the memo {project / 'bad'}: file is not a database", warning=True)]


def test_a_plan_without_memos_is_left_as_it_is(project):
    plan = planned(project, False)
    assert usable(plan, pytest.fail) is plan
