from __future__ import annotations

import pytest

from stagerunner.api import Request, prepare
from stagerunner.engines.base import Trouble, culprit_of
from stagerunner.events import Checkpoint, WorkerReady


def test_a_death_in_a_record_blames_the_record():
    blame = culprit_of(Trouble("parse", 0, 1, "SIGKILL", 2, 7, 21, 1, 20, 22, "working on a record", blamed=2))

    assert (blame.stage, blame.split, blame.first, blame.last, blame.origin, blame.ordinal) == (2, 7, 20, 22, 21, 1)
    assert blame.type == "Killed"
    assert "SIGKILL" in blame.message


def test_a_missed_deadline_is_a_timeout():
    assert culprit_of(Trouble("parse", 0, 1, "its time limit of 5 s", overdue=True)).type == "Timeout"


def test_a_commit_stands_where_the_source_can_go_on(project):
    source, sink = {"use": "range", "with": {"stop": 3000}}, {"use": "null"}
    project.execute("same", source=source, sink=sink, run={"frame": 10, "checkpoint": "1ms", "journal": "journal"})

    commits = project.told(Checkpoint)

    assert (commits[0].records, commits[-1].records) == (0, 3000)
    for commit in commits:
        split = commit.records // 10 * 10  # where the split begins in which it stands
        assert (commit.position or split) == split


def test_every_worker_is_told_once_an_epoch(project):
    list(project.results({"use": "same", "workers": 2}, "double", records=range(10)))

    assert [(ready.stage, ready.worker, ready.epoch) for ready in project.told(WorkerReady)] == [
        ("same", 0, 1),
        ("same", 1, 1),
        ("double", 0, 1),
    ]


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        pytest.param({"use": "same", "workers": 2}, True, id="two workers"),
        pytest.param("same", False, id="one"),
        pytest.param({"use": "./later.py:later", "workers": 2}, False, id="two, async"),
    ],
)
def test_frames_are_dealt_by_load_where_several_workers_take_them_one_by_one(project, stage, expected):
    project.write("later.py", "async def later(record: int) -> int:\n    return record\n")
    with project.results(stage, "double", records=[]) as results:
        assert results._session.loop.dispatch.balances == expected


@pytest.mark.parametrize("limit", [0, 1, 15, 16, 17, 1000, 5000])
@pytest.mark.parametrize("source", [{"use": "range", "with": {"stop": 3000}}, "in.txt"])
def test_a_limit_is_kept_exactly(project, source, limit):
    project.write("in.txt", "".join(f"{n}\n" for n in range(3000)))
    path = project.config({"use": "same", "workers": 2}, source=source, sink="out.txt")

    summary = prepare(path, Request(limit=limit)).execute(project.events.append)

    assert (project / "out.txt").read_text() == "".join(f"{n}\n" for n in range(min(limit, 3000)))
    assert summary.records["in"] == min(limit, 3000)
