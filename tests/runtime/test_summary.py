from __future__ import annotations

import pytest

from stagerunner.delivery.delivery import Delivery
from stagerunner.delivery.ledger import Ledger
from stagerunner.delivery.writers import CallerWriter
from stagerunner.engines.base import Clock, Trouble
from stagerunner.errors import RunFailed, StageFailed, WorkerDied
from stagerunner.plan import Plan
from stagerunner.records import SOURCE, CodeFrame, Counts, Failure, Origin
from stagerunner.runtime.summary import failure_error, summary_of, trouble_error

PLAN = Plan("test", ())


@pytest.fixture
def delivery():
    return Delivery(("parse", "hide"), CallerWriter(), None, lambda event: None, {0: 1})


def test_a_run_without_failures_has_no_error(delivery):
    assert failure_error(PLAN, delivery, resumable=True) is None


def test_a_failure_is_told_with_its_record_place_and_the_users_lines(delivery):
    frames = tuple(CodeFrame("my.py", line, "f") for line in range(10))
    failure = Failure(1, 7, 0, "ValueError", "no", "fail", frames, record={"a": 1}, attempts=3)
    delivery.failures([failure], None, lambda split, record: Origin("a.jsonl", 99))

    error = failure_error(PLAN, delivery, resumable=True)

    assert isinstance(error, StageFailed)
    assert error.failure == failure
    assert str(error).splitlines() == [
        "hide failed: ValueError: no",
        "  record: {'a': 1}",
        "  from: a.jsonl, byte 99",
        "  tried 3 times",
        *[f"  my.py:{line} in f" for line in range(6, 10)],
    ]


def test_too_many_failures_are_told_with_their_stage(delivery):
    for origin in range(2):
        failure = Failure(0, origin, 0, "ValueError", "no", "skip")
        delivery.failures([failure], None, lambda split, record: Origin(""))

    error = failure_error(PLAN, delivery, resumable=True)

    assert type(error) is RunFailed
    assert "parse had more failures than its max_errors" in str(error)


def test_a_death_is_told_with_who_how_and_when():
    error = trouble_error(Trouble("parse", 1, 4711, "SIGKILL", 0, 3, 17, 0, state="working on a record"))

    assert isinstance(error, WorkerDied)
    assert "parse (worker 2, pid 4711) ended by SIGKILL while working on a record" in str(error)
    assert "record 17" in str(error)


def test_trouble_without_a_culprit_is_told_as_it_is():
    assert str(trouble_error(Trouble("", 0, 0, "the fork server has ended"))) == "the fork server has ended"


def test_a_summary_adds_up_the_clocks_of_a_stages_workers(project):
    plan = project.plan({"use": "same", "workers": 2}, "double", source="parts.py", sink="out.jsonl")
    ledger = Ledger(2, sinks=1)
    ledger.add(
        [Counts(SOURCE, 5, out=5), Counts(0, 5, out=5, extra={"hits": 2}), Counts(1, 5, out=5), Counts(2, 5, out=5)]
    )
    clocks = [
        Clock(0, 10**9, 0, 0, 0, 1, cpu=10**9, paused=2 * 10**9),
        Clock(0, 10**9, 0, 10**9, 0, 1, cpu=2 * 10**9, paused=2 * 10**9),
        Clock(1, 0, 0, 0, 5 * 10**8, 1),
    ]

    summary = summary_of(plan, ledger, clocks, 2.0, 0, ("mind this",), 3, whole=True)

    assert summary.balanced
    assert [s.cpu for s in summary.stages] == [3.0, 0.0]
    assert [s.paused for s in summary.stages] == [2.0, 0.0], "they paused together"
    assert [(s.name, s.workers, s.work, s.wait, s.block) for s in summary.stages] == [
        ("same", 2, 2.0, 1.0, 0.0),
        ("double", 1, 0.0, 0.0, 0.5),
    ]
    assert summary.stages[0].counters == {"hits": 2}
    assert (summary.ok, summary.restarts, summary.messages) == (True, 3, ("mind this",))
    assert summary.output.endswith("out.jsonl")


def test_a_summary_names_no_file_that_does_not_hold_what_it_says(project):
    letter = {"use": "same", "on_error": "dead_letter"}
    plan = project.plan(letter, source="parts.py", sink="out.jsonl", dead_letter="failed.jsonl")
    without, dead = Ledger(1, sinks=1), Ledger(1, sinks=1)
    dead.add([Counts(SOURCE, 1, out=1), Counts(0, 1, dead=1)])

    early = summary_of(plan, without, [], 1.0, 1)
    done = summary_of(plan, dead, [], 1.0, 3, whole=True)

    assert (early.output, early.dead_letter) == ("", "")
    assert done.output.endswith("out.jsonl")
    assert done.dead_letter.endswith("failed.jsonl")
