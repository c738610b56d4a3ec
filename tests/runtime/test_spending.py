"""What a resumed run knows of what was spent before."""

from __future__ import annotations

import struct

import pytest
from support.project import Project

from stagerunner.errors import Stopped
from stagerunner.events import Notice
from stagerunner.runtime.spending import forget_spending, spending_path, with_spending


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    (made / "in.txt").write_text("")
    return made


def planned(project, workers=2, **budgets):
    stages = [{"use": "same", "name": name, "workers": workers, "budget": budget} for name, budget in budgets.items()]
    return project.plan("double", *stages, source="in.txt", sink="out.txt")


def begun(project, plan, run="run", *, resumed=False, tell=pytest.fail):
    made = with_spending(plan, project / "journal", run, tell, resumed=resumed)
    return {stage.name: stage.work.budget for stage in made.stages if stage.work.budget is not None}


def spend(budget, worker, counter, number):
    with open(budget.path, "r+b") as file:
        file.seek(budget.place(worker, counter))
        file.write(struct.pack("<d", number))


def test_a_fresh_run_has_spent_nothing(project):
    budgets = begun(project, planned(project, ask={"usd": 5}))
    assert budgets["ask"].before == (0,)
    assert budgets["ask"].path == str(project / "journal.spent")


def test_a_resumed_run_has_spent_what_all_workers_had_over_all_resumes(project):
    plan = planned(project, ask={"usd": 5, "tokens": 100}, tell={"usd": 1})
    for total in (1, 2, 3):
        budgets = begun(project, plan, resumed=total > 1)
        spend(budgets["ask"], 0, 0, 0.5)
        spend(budgets["ask"], 1, 0, 0.25)
        spend(budgets["ask"], 1, 1, 10)
        spend(budgets["tell"], 1, 0, 0.125)
        after = begun(project, plan, resumed=True)
        assert after["ask"].before == (0.75 * total, 10 * total)
        assert after["tell"].before == (0.125 * total,)


def test_more_workers_or_a_higher_limit_change_nothing_about_it(project):
    budgets = begun(project, planned(project, ask={"usd": 5}))
    spend(budgets["ask"], 1, 0, 5)
    after = begun(project, planned(project, 3, ask={"tokens": 1, "usd": 50}), resumed=True)
    assert after["ask"].before == (0, 5)
    spend(after["ask"], 2, 1, 1)
    assert begun(project, planned(project, 1, ask={"usd": 50}), resumed=True)["ask"].before == (6,)


def test_what_another_run_has_spent_does_not_count(project):
    plan = planned(project, ask={"usd": 5})
    spend(begun(project, plan)["ask"], 0, 0, 5)
    assert begun(project, plan, "other", resumed=True)["ask"].before == (0,)
    assert begun(project, plan, "other")["ask"].before == (0,)


@pytest.mark.parametrize("damage", [None, b"", b"no header\n", b'{"run": "run"}\n', b"[1]\n"])
def test_a_file_that_is_gone_or_damaged_is_said(project, damage):
    plan, told = planned(project, ask={"usd": 5}), []
    begun(project, plan)
    path = spending_path(project / "journal")
    path.unlink() if damage is None else path.write_bytes(damage)
    assert begun(project, plan, resumed=True, tell=told.append)["ask"].before == (0,)
    assert [type(event) for event in told] == [Notice]
    assert "is unknown" in told[0].text


def test_a_file_that_can_not_be_written_stops_the_run_before_it_spends(project):
    plan = planned(project, ask={"usd": 5})
    (project / "journal.spent.new").mkdir()
    with pytest.raises(Stopped, match="can't be written"):
        begun(project, plan)


def test_a_run_without_a_journal_or_a_budget_has_no_file(project):
    plan = planned(project, ask={"usd": 5})
    assert with_spending(plan, None, "run", pytest.fail, resumed=False) is plan
    begun(project, planned(project))
    assert not (project / "journal.spent").exists()


def test_when_the_run_is_done_it_is_forgotten(project):
    begun(project, planned(project, ask={"usd": 5}))
    for _ in range(2):
        forget_spending(project / "journal")
        assert not (project / "journal.spent").exists()
