"""The first Ctrl-C of a chain without state: it ends after the records in hand, however many were sent together."""

from __future__ import annotations

import signal
from collections import Counter

import pytest
from support.leaks import needs_proc
from support.waiting import wait_until

pytestmark = needs_proc

COUNT = 300
WHOLE = "".join(f"{number}\n" for number in range(COUNT))
SOURCE = {"use": "range", "with": {"stop": COUNT}}

PAID = """
def bill(record):
    with open(Path(__file__).parent / "paid", "a") as file:
        file.write(f"{record}\\n")

def slowly():
    "Long enough for one record to count as slow."
    until = time.perf_counter_ns() + 300_000
    while time.perf_counter_ns() < until:
        pass

@stage
def paid(record):
    bill(record)
    slowly()
    if record >= 20:
        tell(f"met {record}")
        wait_for("go on")
        if record < 60 and not (Path(__file__).parent / "resumed").exists():
            time.sleep(0.06)  # what such a record costs: more than a slice
    return record

@stage.batch
def lists(records):
    return [paid(record) for record in records]

@stage
def slow(record):
    slowly()
    return record

@stage
class Numbered:
    def __init__(self):
        self.number = 0
    def process(self, record):
        self.number += 1
        return self.number - 1
    def snapshot(self):
        return self.number
    def restore(self, data):
        self.number = data

@stage
async def asked(record):
    import asyncio
    bill(record)
    if record >= 20:
        tell(f"met {record}")
        while not (Path(__file__).parent / "go on").exists():
            await asyncio.sleep(0.002)
    return record
"""


def interrupted(project, *stages, met, **run):
    """Run the chain, stop it while it is at these records, and let them go on; returns what it has written."""
    project.plugin(PAID)
    project.config(*stages, source=SOURCE, sink="out.txt", run={"frame": 50, "grace": "60s"} | run)
    with project.start("run", "chain.yaml", "--progress", "plain") as process:
        wait_until(lambda: all((project / f"met {record}").exists() for record in met))
        process.send_signal(signal.SIGINT)
        wait_until(lambda: b"stopping" in process.stderr.readline())
        (project / "go on").touch()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"--resume" in err
    assert b"Traceback" not in err
    return (project / "out.txt.partial").read_text().split()


def bills(project) -> Counter[int]:
    return Counter(map(int, (project / "paid").read_text().split()))


def resumed(project) -> None:
    (project / "resumed").touch()
    assert project.cli("run", "chain.yaml", "--resume", "-q").returncode == 0
    assert (project / "out.txt").read_text() == WHOLE


@pytest.mark.parametrize("stage", [{"use": "paid"}, {"use": "lists", "batch": 1}])
def test_only_the_records_in_hand_are_finished(project, stage):
    """Of two workers, each in a frame of 50 records, one is at record 20 and the other at record 50."""
    written = interrupted(project, "same", stage | {"workers": 2}, "same", met=[20, 50])

    assert written == [str(number) for number in range(21)]
    assert bills(project) == Counter([*range(21), 50])
    resumed(project)
    assert bills(project) == Counter([*range(COUNT), 50])


def test_a_slow_stage_behind_does_not_begin_what_comes_in(project):
    written = interrupted(project, "paid", "slow", met=[20], frame=30)

    assert WHOLE.split()[: len(written)] == written
    assert len(written) <= 21
    resumed(project)
    assert set(bills(project).values()) <= {1, 2}


def test_calls_in_flight_end_and_no_further_ones_begin(project):
    met = range(20, 28)
    written = interrupted(project, {"use": "asked", "concurrency": 8}, met=met, frame=4)

    assert written == [str(number) for number in range(28)]
    assert bills(project) == Counter(range(28))
    resumed(project)
    assert bills(project) == Counter(range(COUNT))


def test_with_state_what_is_on_its_way_is_finished(project):
    written = interrupted(project, "paid", "numbered", met=[20], frame=10)

    assert len(written) >= 30
    assert len(written) % 10 == 0
    resumed(project)


WAITING = """
def again(record):
    return not (Path(__file__).parent / "resumed").exists()

@stage
def failing(record):
    tell(f"met {record}")
    if record == 0 and again(record):
        raise ValueError("the first time")
    return record

@stage.batch
def later(records):
    tell(f"met {records[0]}")
    if records[0] == 0 and again(records[0]):
        raise RetryLater(3000)
    return records

@stage
def paced(record):
    tell(f"met {record}")
    return record

@stage
async def asked(record):
    return paced(record)
"""


@pytest.mark.parametrize(
    ("engine", "stage", "met"),
    [
        ("process", {"use": "failing", "retry": {"attempts": 2, "delay": "50m"}, "workers": 2}, [0, 1]),
        ("inline", {"use": "failing", "retry": {"attempts": 2, "delay": "50m"}}, [0]),
        ("threads", {"use": "later", "batch": 1}, [0]),
        ("process", {"use": "paced", "rate": "1/50m"}, [0]),
        ("process", {"use": "asked", "rate": "1/50m"}, [0]),
    ],
)
def test_nobody_waits_for_a_call_that_waits(project, engine, stage, met):
    """For its turn, for a later attempt, or for the end of a pause. No grace is given, and nothing is lost by it."""
    project.plugin("from stagerunner import RetryLater\n" + WAITING)
    project.config(stage, source=SOURCE, sink="out.txt", run={"frame": 1, "grace": "60s", "engine": engine})
    with project.start("run", "chain.yaml", "--progress", "none") as process:
        wait_until(lambda: all((project / f"met {record}").exists() for record in met))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    (project / "resumed").touch()
    rate = [f"--set=stages.{stage['use']}.rate=100000/s"] if "rate" in stage else []
    assert project.cli("run", "chain.yaml", "--resume", "-q", *rate).returncode == 0
    assert (project / "out.txt").read_text() == WHOLE
