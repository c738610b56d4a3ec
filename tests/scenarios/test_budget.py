"""`budget`: a run stops when a counter reaches its limit, and knows over all resumes what it has spent."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import suppress
from time import monotonic

import pytest
from support.leaks import needs_proc
from support.project import Project

from stagerunner.api import Request, prepare
from stagerunner.errors import Stopped
from stagerunner.evaluate.limits.budget import Budget
from stagerunner.evaluate.stage_api import CallListener, heard
from stagerunner.events import RecordFailed
from stagerunner.runtime import spending
from stagerunner.wire.metrics import MetricsPage

PARTS = """
HOME = Path(__file__).parent

def paid(record, usd=1):
    file = os.open(HOME / "calls", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, f"{record}\\n".encode())
    os.close(file)
    count("usd", usd)

@stage
def plain(record):
    paid(record)
    return f"<{record}>"

@stage
def cheap(record):
    paid(record, 0.1)
    return f"<{record}>"

@stage
def fussy(record):
    paid(record)
    raise ValueError("never")

@stage
def slow(record):
    paid(record)
    time.sleep(0.01)
    return f"<{record}>"

@stage
def endless(record):
    if record == "7":
        time.sleep(60)
    paid(record)
    return record

@stage.batch
def slow_batch(records):
    for record in records:
        paid(record)
        time.sleep(0.005)
    return [f"<{record}>" for record in records]

@stage.batch
def batch(records):
    for record in records:
        paid(record)
    return records

@stage
async def awaited(record):
    paid(record)
    import asyncio
    await asyncio.sleep(0.005)
    return f"<{record}>"

@stage
def deadly(record):
    paid(record)
    if int(record) % 10 == 5 and once(record):
        os.kill(parent() if (HOME / "parent").exists() else os.getpid(), signal.SIGKILL)
    return f"<{record}>"

@stage
class Sum:
    def __init__(self): self.sum = 0
    def process(self, record):
        self.sum += int(record.strip("<>"))
        return f"{record} {self.sum}"
    def snapshot(self): return self.sum
    def restore(self, data): self.sum = data

@stage
class Asks:
    "It pays for each record, and for each of what it gives in the end."
    def __init__(self): self.seen = 0
    def process(self, record):
        self.seen += 1
        paid(record)
        return record
    def flush(self):
        for number in range(10):
            paid(f"flush{number}")
            yield f"{number} of {self.seen}"
    def snapshot(self): return self.seen
    def restore(self, data): self.seen = data
"""


@pytest.fixture
def project(tmp_path) -> Project:
    made = Project(tmp_path)
    made.plugin(PARTS)
    made.write("in.txt", "".join(f"{n}\n" for n in range(100)))
    return made


def calls(project):
    path = project / "calls"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def config(project, use, budget, *more, **settings):
    stage = {"use": use, "budget": {"usd": budget}, **settings}
    return project.config(stage, *more, source="in.txt", sink="out.txt", run={"checkpoint": "10ms"})


def go_on(project, *flags):
    return project.cli("run", "chain.yaml", "--progress", "none", "--resume", *flags)


@pytest.mark.parametrize(("use", "each"), [("plain", 1), ("cheap", 0.1)])
def test_it_stops_says_why_and_goes_on_with_more(project, use, each):
    config(project, use, 20 * each)
    stopped = project.cli("run", "chain.yaml", "--progress", "none")
    assert stopped.returncode == 75
    limit = f"{20 * each:g}"
    said = f"error[stopped]: {use} has spent its budget, usd {limit} of {limit}; "
    assert said + f"`--resume --set stages.{use}.budget.usd=NUMBER` goes on" in stopped.stderr.decode()
    assert sum(calls(project).values()) == 20

    assert go_on(project).returncode == 75
    assert sum(calls(project).values()) == 20

    assert go_on(project, "--set", f"stages.{use}.budget.usd={40 * each}").returncode == 75
    assert sum(calls(project).values()) == 40

    assert go_on(project, "--set", f"stages.{use}.budget.usd={1000 * each}").returncode == 0
    assert set(calls(project).values()) == {1}
    assert (project / "out.txt").read_text() == "".join(f"<{n}>\n" for n in range(100))
    assert not list(project.folder.glob(".*.spent"))


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("engine", ["process", "inline"])
def test_several_workers_exceed_it_by_no_more_than_the_calls_in_flight(project, workers, engine):
    config(project, "plain", 30, workers=workers)
    assert project.cli("run", "chain.yaml", "-q", "--engine", engine).returncode == 75
    assert 30 <= sum(calls(project).values()) < 30 + workers


def test_calls_that_fail_are_paid_for(project):
    config(project, "fussy", 7, retry={"attempts": 2, "delay": "1ms"}, on_error="skip")
    assert project.cli("run", "chain.yaml", "-q").returncode == 75
    assert sum(calls(project).values()) == 7


def test_a_batch_in_which_it_is_reached_is_the_last(project):
    config(project, "batch", 25, batch=10)
    assert project.cli("run", "chain.yaml", "-q").returncode == 75
    assert sum(calls(project).values()) in range(25, 35)
    assert go_on(project, "-q", "--set", "stages.batch.budget.usd=1000").returncode == 0
    assert (project / "out.txt").read_text() == (project / "in.txt").read_text()


def test_async_calls_in_flight_are_all_that_is_beyond(project):
    config(project, "awaited", 30, concurrency=8)
    assert project.cli("run", "chain.yaml", "-q").returncode == 75
    assert 30 <= sum(calls(project).values()) <= 37
    assert go_on(project, "-q", "--set", "stages.awaited.budget.usd=1000").returncode == 0
    assert (project / "out.txt").read_text() == "".join(f"<{n}>\n" for n in range(100))


@needs_proc
@pytest.mark.parametrize("victim", ["worker", "parent"])
def test_whatever_dies_what_was_spent_is_known(project, victim):
    """Ten kills: each costs the call during which it happened, which nobody has heard the end of."""
    if victim == "parent":
        (project / "parent").touch()
    config(project, "deadly", 60)
    flags = []
    while (ran := project.cli("run", "chain.yaml", "-q", *flags)).returncode == -signal.SIGKILL:
        flags = ["--resume"]
    assert ran.returncode == 75
    killed = len([path for path in project.folder.iterdir() if path.name.isdigit()])
    assert killed > 1
    assert 60 <= sum(calls(project).values()) <= 60 + killed

    spent = sum(calls(project).values())
    assert go_on(project, "-q").returncode == 75
    assert sum(calls(project).values()) == spent


def test_with_state_behind_it_the_last_barrier_stands(project):
    config(project, "plain", 30, "sum")
    assert project.cli("run", "chain.yaml", "-q").returncode == 75
    assert sum(calls(project).values()) == 30
    assert go_on(project, "-q", "--set", "stages.plain.budget.usd=1000").returncode == 0
    sums = [sum(range(n + 1)) for n in range(100)]
    assert (project / "out.txt").read_text() == "".join(f"<{n}> {sums[n]}\n" for n in range(100))


@pytest.mark.parametrize(("budget", "ends"), [(100, 0), (104, 4)])
def test_a_flush_is_within_the_budget_too(project, budget, ends):
    config(project, "asks", budget)
    stopped = project.cli("run", "chain.yaml", "--progress", "none")
    assert stopped.returncode == 75
    assert f"asks has spent its budget, usd {budget} of {budget}" in stopped.stderr.decode()
    assert sum(name.startswith("flush") for name in calls(project)) == ends
    assert go_on(project, "-q", "--set", "stages.asks.budget.usd=1000").returncode == 0
    flushed = [f"{number} of 100" for number in range(10)]
    assert (project / "out.txt").read_text().splitlines() == [*map(str, range(100)), *flushed]


def test_hits_of_a_memo_spend_nothing(project):
    for budget in (30, 60, 200):
        config(project, "plain", budget, memo="kept.memo")
        assert project.cli("run", "chain.yaml", "-q").returncode == (0 if budget == 200 else 75)
    assert set(calls(project).values()) == {1}
    config(project, "plain", 1, memo="kept.memo", workers=2)
    assert project.cli("run", "chain.yaml", "-q").returncode == 0


@pytest.mark.parametrize(
    "stage",
    [
        {"use": "slow", "workers": 4},
        {"use": "awaited", "concurrency": 8, "workers": 2},
        {"use": "slow_batch", "batch": 4, "workers": 2},
    ],
)
def test_with_a_memo_nothing_is_paid_for_twice_however_often_it_stops(project, stage):
    """The calls that run when it stops may end, and are kept."""
    config(project, **stage, memo=True, budget=30)
    flags = []
    for budget in (30, 60, 90, 1000):
        set_budget = f"stages.{stage['use'].replace('_', '-')}.budget.usd={budget}"
        ran = project.cli("run", "chain.yaml", "-q", *flags, "--set", set_budget)
        flags = ["--resume"]
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert set(calls(project).values()) == {1}
    assert (project / "out.txt").read_text() == "".join(f"<{n}>\n" for n in range(100))


def test_calls_that_do_not_end_are_waited_for_no_longer_than_grace(project):
    config(project, "endless", 5, memo=True, workers=2)
    began = monotonic()
    assert project.cli("run", "chain.yaml", "-q", "--set", "run.grace=300ms").returncode == 75
    assert monotonic() - began < 10


def test_a_budget_for_what_is_never_counted_is_said(project):
    summary = project.execute({"use": "same", "budget": {"usd": 5}}, source="in.txt", sink="out.txt")
    assert summary.messages == ("the budget of 'same' limits usd, which it has never counted",)


def test_what_running_calls_cost_when_it_stops_is_known(project):
    config(project, "slow", 30, workers=4)
    for _ in range(4):
        project.cli("run", "chain.yaml", "-q", "--resume")
    assert sum(calls(project).values()) < 30 + 4


def test_nobody_is_told_that_a_record_failed(project):
    with pytest.raises(Stopped) as raised:
        project.execute({"use": "plain", "budget": {"usd": 5}}, source="in.txt", sink="out.txt")
    assert project.told(RecordFailed) == []
    assert raised.value.summary.exit_code == 75
    assert raised.value.summary.records["not_processed"] == 1
    assert raised.value.summary.balanced


def test_the_caller_of_the_python_api_gets_what_was_paid_for(project):
    results = project.results({"use": "plain", "budget": {"usd": 5}}, records=[str(n) for n in range(10)])
    got = []
    with pytest.raises(Stopped, match=r"has spent its budget, usd 5 of 5$"):
        for result in results:
            got.append(result)
    assert got == [f"<{n}>" for n in range(5)]


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({}, "budget names no counter"),
        ({"usd": 0}, "usd must be more than 0"),
        ({"usd": "much"}, "usd must be a number"),
        (5, "budget must be a mapping"),
        ({f"c{n}": 1 for n in range(9)}, "budget has 9 counters"),
    ],
)
def test_what_is_no_budget_is_a_mistake(project, budget, said):
    project.config({"use": "plain", "budget": budget}, source="in.txt")
    checked = project.cli("check", "chain.yaml")
    assert checked.returncode == 2
    assert said in checked.stderr.decode()


# The checks notice bugs that are planted


def checked_after_the_call(monkeypatch):
    def around(self, call):
        def call_and_check(argument):
            listener = CallListener()
            found = heard(call, argument, listener)
            self.check()
            self.spend(listener.extra)
            return found

        return call_and_check

    monkeypatch.setattr(Budget, "around", around)


def lost_at_a_restart(monkeypatch):
    clear = MetricsPage.clear

    def cleared(self):
        clear(self)
        self.words[self._spent : self._open] = memoryview(bytes(8 * (self._open - self._spent))).cast("q")

    monkeypatch.setattr(MetricsPage, "clear", cleared)


def lost_at_a_resume(monkeypatch):
    monkeypatch.setattr(spending, "_read", lambda *arguments: {})


def spent(project, use, engine="process", resumes=2, **settings):
    """The calls of a run and its resumes with a budget of 20."""
    path = project.config(
        {"use": use, "budget": {"usd": 20}, **settings}, source="in.txt", sink="out.txt", run={"engine": engine}
    )
    for resume in range(resumes):
        with suppress(Stopped):
            prepare(path, Request(resume=resume > 0)).execute()
    return sum(calls(project).values())


@pytest.mark.parametrize(
    ("plant", "arguments"),
    [
        (checked_after_the_call, {"use": "plain", "engine": "inline"}),
        (lost_at_a_restart, {"use": "deadly", "resumes": 1}),
        (lost_at_a_resume, {"use": "plain"}),
    ],
)
@pytest.mark.parametrize("planted", [False, True])
def test_a_planted_bug_is_noticed(project, monkeypatch, plant, arguments, planted):
    if planted:
        plant(monkeypatch)
    kills = 2 if arguments["use"] == "deadly" else 0
    assert (spent(project, **arguments) <= 20 + kills) is not planted
