"""Many calls run as a worker dies: each is suspected and called alone. Once they are accepted, all is as before."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import pytest

from stagerunner.events import Notice, RecordFailed, WorkerFailed

TOGETHER = """
import asyncio

under_way = 0

@stage
async def together(record, *, wrong: str, at: int):
    "Write down how many calls are in progress as each begins."
    global under_way
    under_way += 1
    with open(Path(__file__).parent / "calls", "a") as file:
        file.write(f"{os.getpid()} {record} {under_way}\\n")
    if record == at:
        go_wrong(wrong)
    if wrong == "many" and under_way > at:
        os.abort()
    await asyncio.sleep(0.01)
    under_way -= 1
    return record

def go_wrong(wrong):
    if wrong == "once" and once("killed") or wrong == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    if wrong == "aborts":
        os.abort()

@stage.batch
def lists(records, *, wrong: str, at: int):
    with open(Path(__file__).parent / "calls", "a") as file:
        file.write(f"{os.getpid()} {records[0]} {len(records)}\\n")
    if at in records:
        go_wrong(wrong)
    if wrong == "many" and len(records) > at:
        os.abort()
    return records
"""


@pytest.fixture
def run(project):
    """Run 1,000 records through a stage in which something goes wrong; the results."""
    project.plugin(TOGETHER)

    def run(use: str, wrong: str, at: int, **settings):
        stage = {"use": use, "with": {"wrong": wrong, "at": at}, "on_error": "skip", **settings}
        return list(project.results("same", stage, records=range(1000), run={"frame": 5}))

    return run


def lives(project) -> list[list[tuple[int, int]]]:
    """(record, calls in progress, or records in the call) for each call, worker by worker."""
    calls = [tuple(map(int, line.split())) for line in (project / "calls").read_text().splitlines()]
    return [[(record, most) for _, record, most in life] for _, life in groupby(calls, key=itemgetter(0))]


def most_at_once(life: list[tuple[int, int]]) -> int:
    return max(number for _, number in life)


def test_after_a_kill_from_outside_as_many_calls_run_as_before(project, run):
    assert run("together", "once", 300, concurrency=64) == list(range(1000))

    before, after = lives(project)
    assert min(most_at_once(before), most_at_once(after)) >= 32
    assert project.told(RecordFailed) == project.told(Notice) == []


@pytest.mark.parametrize(("wrong", "deaths"), [("aborts", 3), ("kills", 4)])
def test_of_64_calls_the_one_that_kills_is_found_and_no_other(project, run, wrong, deaths):
    assert run("together", wrong, 300, concurrency=64) == [number for number in range(1000) if number != 300]

    (failed,) = project.told(RecordFailed)
    assert (failed.type, failed.where) == ("Killed", "record 300")
    assert len(project.told(WorkerFailed)) == deaths
    assert project.told(Notice) == []


def test_each_suspect_is_called_alone_and_what_follows_is_not(project, run):
    run("together", "aborts", 300, concurrency=64)

    first, second, third, last = lives(project)
    killer, suspects = first[-1]
    assert (killer, suspects > 1) == (300, True)
    assert most_at_once(second[-suspects:]) == 1
    assert second[-1] == third[-1] == (300, 1)
    assert most_at_once(last) >= 32


@pytest.mark.parametrize("use", ["together", "lists"])
def test_if_all_suspects_pass_alone_half_is_done_at_once(project, run, use):
    settings = {"concurrency": 64} if use == "together" else {"batch": 64}
    assert run(use, "many", 40, **settings) == list(range(1000))

    assert project.told(RecordFailed) == []
    assert 16 < most_at_once(lives(project)[-1]) <= 32
    assert [use in notice.text for notice in project.told(Notice)] == [True]


def test_a_record_that_kills_in_a_list_of_256_is_found(project, run):
    assert run("lists", "aborts", 300, batch=256) == [number for number in range(1000) if number != 300]

    (failed,) = project.told(RecordFailed)
    assert (failed.type, failed.where) == ("Killed", "record 300")
    assert len(project.told(WorkerFailed)) == 4
