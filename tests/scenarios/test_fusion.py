"""`run.fuse: auto` with real processes: whatever is fused, and whenever groups change, the results are the same."""

from __future__ import annotations

import os
import signal

import pytest
from support.leaks import needs_proc

from stagerunner.api import Request, prepare
from stagerunner.engines.process.parent import worker_pool
from stagerunner.errors import SetupFailed
from stagerunner.events import RecordFailed, WorkerFailed, WorkerReady
from stagerunner.runtime import regrouping

PARTS = """
def spin(milliseconds):
    end = time.perf_counter() + milliseconds / 1000
    while time.perf_counter() < end:
        pass

@stage
def slow(record, *, ms: float):
    spin(ms)
    return record

@stage
def slower(record, *, ms: float):
    spin(ms)
    return record

loaded = set()

@stage
def lazy(record, *, model: str):
    if model not in loaded:
        spin(300)
        loaded.add(model)
    return record

@stage
def repeat(record):
    for number in range(record % 4):
        yield record + number

@stage
def fussy(record):
    count("looked at")
    if record % 11 == 4:
        raise ValueError(f"{record} will not do")
    return record

@stage.batch
def fewer(records) -> list[int | None]:
    return [record if record % 5 else None for record in records]

@stage
class Sum:
    "The sum so far; writes down when its state is asked for."
    def __init__(self, *, dies: str = "", interrupts: str = ""):
        self.sum, self.dies, self.interrupts = 0, dies, interrupts
    def process(self, record):
        self.sum += record
        return self.sum
    def flush(self):
        self.die("flush")
        yield self.sum
        yield 0
    def snapshot(self):
        self.die("snapshot")
        return self.sum
    def restore(self, data):
        self.sum = data
        tell(f"restored {data}")
    def close(self):
        self.die("close")
    def die(self, place):
        if self.dies == place and once(f"died in {place}"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.interrupts == place and once("interrupted"):
            os.kill(parent(), signal.SIGINT)
"""

HEAVY = [{"use": "slow", "with": {"ms": 1}}, {"use": "slower", "with": {"ms": 1}}]
CHEAP = ["same", "double"]
several = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="on one core nothing is gained by parting")
AUTO = {"fuse": "auto"}
COUNT = 2000


@pytest.fixture(autouse=True)
def parts(project) -> None:
    project.plugin(PARTS)


@pytest.fixture
def parted(monkeypatch) -> None:
    """As soon as anything has come back, each stage gets workers of its own, whatever was measured."""
    monkeypatch.setattr(regrouping, "LEAST", 0)
    monkeypatch.setattr(regrouping, "choose", lambda stages, cores: (1,) * len(stages))


def sums(length: int) -> list[int]:
    """What `sum` makes of range(length), its flush included."""
    return [n * (n + 1) // 2 for n in range(length)] + [length * (length - 1) // 2, 0]


def groups(summary) -> list[int]:
    return [stage.group for stage in summary.stages]


def outcome(project, *stages, length: int = COUNT, **run):
    """Everything that can be seen of a run, and its summary."""
    letters = project / "letters.jsonl"
    results = project.results(*stages, records=range(length), run=run, dead_letter=str(letters))
    records = list(results)
    summary = results.summary
    assert summary.balanced
    ledger = [(s.name, s.taken, s.created, s.out, s.filtered, s.skipped, s.dead, s.counters) for s in summary.stages]
    return (records, ledger, letters.read_bytes()), summary


# Together


def test_cheap_neighbours_share_one_process_to_the_end(project):
    results = project.results("same", "double", "same", records=range(500), run=AUTO)

    assert list(results) == list(range(0, 1000, 2))
    assert [(ready.stage, ready.epoch) for ready in project.told(WorkerReady)] == [("same+double+same-2", 1)]
    assert groups(results.summary) == [1, 1, 1]


@several
def test_what_a_first_call_loads_parts_nobody(project):
    lazy = [{"use": "lazy", "with": {"model": model}} for model in ("small", "large")]
    results = project.results(*lazy, "double", records=range(500), run=AUTO)

    assert list(results) == list(range(0, 1000, 2))
    assert [ready.stage for ready in project.told(WorkerReady)] == ["lazy+lazy-2+double"]


def test_stages_with_as_many_workers_share_them(project):
    wide = [{"use": name, "workers": 2} for name in ("same", "double")]
    results = project.results("same", *wide, records=range(500), run=AUTO)

    assert list(results) == list(range(0, 1000, 2))
    assert [(ready.stage, ready.worker) for ready in project.told(WorkerReady)] == [
        ("same", 0),
        ("same-2+double", 0),
        ("same-2+double", 1),
    ]
    assert groups(results.summary) == [1, 2, 2]


FUSED = {"use": "fussy", "on_error": "dead_letter"}


@pytest.mark.parametrize("frame", [1, 7, "auto"])
@pytest.mark.parametrize(
    "chain",
    [
        ["repeat", FUSED, "fewer", "sum"],
        [FUSED, "repeat", "sum", FUSED | {"name": "again"}, "fewer"],
        ["sum", "repeat", {"use": "sum", "name": "last"}],
    ],
    ids=["one", "two", "flushes"],
)
def test_a_fused_chain_gives_what_any_chain_gives(project, chain, frame):
    fused, _ = outcome(project, *chain, frame=frame, fuse="auto")

    assert fused == outcome(project, *chain, frame=frame, fuse="off")[0]
    assert fused == outcome(project, *chain, frame=frame, engine="inline", fuse="auto")[0]


@pytest.mark.parametrize("take", [0, 1, 16, 17, 100])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_fused_stage_that_needs_no_more_ends_the_run(project, take, place):
    chain = ["same", "double"]
    chain.insert(place, {"use": "take", "with": {"n": take}})
    results = project.results(*chain, source={"use": "range", "with": {"stop": 10**9}}, run=AUTO)

    assert list(results) == [2 * n for n in range(take)]
    assert results.summary.balanced


@pytest.mark.parametrize("place", [0, 1, 2])
def test_where_a_fused_stage_says_fail_everything_before_it_is_delivered(project, place):
    chain = ["same", "same"]
    chain.insert(place, "fussy")
    got = []
    with pytest.raises(Exception, match="15 will not do"):
        for record in project.results(*chain, records=range(5, 200), run=AUTO):
            got.append(record)

    assert got == list(range(5, 15))


def test_a_fused_stage_that_can_not_be_set_up_is_named(project):
    project.plugin("""
        @stage
        class Broken:
            def setup(self):
                raise ValueError("no key")
            def process(self, record):
                return record
    """)

    with pytest.raises(SetupFailed, match=r"broken could not be set up.*no key"):
        list(project.results("same", "broken", "double", records=range(10), run=AUTO))


def test_what_can_not_be_pickled_passes_between_fused_stages(project):
    project.plugin("""
        @stage
        def wrap(record):
            return lambda: record
        @stage
        def unwrap(function):
            return function()
    """)

    assert list(project.results("wrap", "unwrap", records=range(10), run=AUTO)) == list(range(10))


@needs_proc
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_record_that_kills_is_quarantined_in_its_own_stage(project, place):
    project.plugin("""
        @stage
        def deadly(record):
            if record == 77:
                os.kill(os.getpid(), signal.SIGKILL)
            return record
    """)
    chain = ["same", "same"]
    chain.insert(place, {"use": "deadly", "on_error": "skip"})

    results = project.results(*chain, records=range(300), run=AUTO)

    assert list(results) == [n for n in range(300) if n != 77]
    assert {failed.stage for failed in project.told(WorkerFailed)} == {"deadly"}
    (failed,) = project.told(RecordFailed)
    assert (failed.stage, failed.type, failed.where) == ("deadly", "Killed", "record 77")
    assert results.summary.balanced


@needs_proc
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_kills_outside_any_call_is_quarantined_whole(project, place):
    """The last of the fused stages gives a record that kills the worker which encodes it."""
    project.plugin("""
        class Bomb:
            def __reduce__(self):
                os.kill(os.getpid(), signal.SIGKILL)
        @stage
        def arm(record):
            return Bomb() if record == 77 else record
    """)
    chain = ["same", "same", {"use": "arm", "on_error": "skip"}]
    results = project.results(*chain[place:], records=range(300), run=AUTO)

    assert list(results) == [n for n in range(300) if n != 77]
    assert [failed.stage for failed in project.told(RecordFailed)] == ["arm"]
    assert results.summary.balanced


# Parted


def test_heavy_neighbours_are_parted(project, monkeypatch):
    monkeypatch.setattr(worker_pool, "cores", lambda: 8)

    (records, ledger, _), summary = outcome(project, *HEAVY, length=600, fuse="auto")

    assert records == list(range(600))
    assert [(ready.stage, ready.epoch) for ready in project.told(WorkerReady)] == [
        ("slow+slower", 1),
        ("slow", 2),
        ("slower", 2),
    ]
    assert groups(summary) == [1, 2]
    assert (summary.restarts, project.told(WorkerFailed)) == (0, [])
    assert summary.fusions[0].parts == (("slow",), ("slower",))
    assert ledger == [("slow", 600, 0, 600, 0, 0, 0, {}), ("slower", 600, 0, 600, 0, 0, 0, {})]
    assert all(stage.work > 0.9 * 600 * 0.001 for stage in summary.stages)


def test_on_one_core_they_stay_together(project, monkeypatch):
    monkeypatch.setattr(worker_pool, "cores", lambda: 1)

    _, summary = outcome(project, *HEAVY, length=600, fuse="auto")

    assert groups(summary) == [1, 1]


@pytest.mark.usefixtures("parted")
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_are_parted_from_workers(project, workers):
    wide = [{"use": "same", "name": name, "workers": workers} for name in ("a", "b")]
    (records, _, _), summary = outcome(project, "same", *wide, "sum", fuse="auto")

    assert records == sums(COUNT)
    assert groups(summary) == [1, 2, 3, 4]
    assert max(ready.epoch for ready in project.told(WorkerReady)) == 2


@pytest.mark.usefixtures("parted")
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("frame", [1, 16, "auto"])
def test_state_goes_along_to_the_new_groups(project, place, frame):
    chain = ["same", {"use": "same", "name": "again"}]
    chain.insert(place, "sum")
    (records, _, _), summary = outcome(project, *chain, fuse="auto", frame=frame)

    assert records == sums(COUNT)
    assert (groups(summary), summary.restarts) == ([1, 2, 3], 0)
    assert len(list(project.folder.glob("restored *"))) == 1


@pytest.mark.usefixtures("parted")
@pytest.mark.parametrize("least", [0, 1_000_000, 10_000_000, 10**12])
def test_what_is_seen_does_not_depend_on_when_stages_are_parted(project, monkeypatch, least):
    chain = ["repeat", FUSED, "sum", "fewer"]
    monkeypatch.setattr(regrouping, "LEAST", least)

    assert outcome(project, *chain, fuse="auto", frame=5)[0] == outcome(project, *chain, fuse="off")[0]


@pytest.mark.usefixtures("parted")
@pytest.mark.parametrize("take", [10, 100, 500, 1000])
def test_a_run_that_is_stopped_early_while_groups_change_is_whole(project, take):
    chain = ["same", {"use": "take", "with": {"n": take}}, "sum"]
    results = project.results(*chain, records=iter(range(10**9)), run=AUTO | {"frame": 5})

    assert list(results) == sums(take)
    assert results.summary.balanced


@pytest.mark.usefixtures("parted")
def test_a_limit_is_kept_through_it(project):
    path = project.config(*CHEAP, source={"use": "range", "with": {"stop": 10**9}}, sink="out.txt", run=AUTO)

    summary = prepare(path, Request(limit=3333)).execute(project.events.append)

    assert (project / "out.txt").read_text() == "".join(f"{2 * n}\n" for n in range(3333))
    assert groups(summary) == [1, 2]


@pytest.mark.usefixtures("parted")
def test_a_stage_whose_state_can_not_be_handed_on_is_left_alone(project):
    project.plugin(PARTS + "@stage(state=True)\ndef alternate(record, *, seen=[]):\n    return record\n")
    _, summary = outcome(project, *CHEAP, "alternate", fuse="auto")

    assert groups(summary) == [1, 2, 3]
    assert {ready.epoch for ready in project.told(WorkerReady)} == {1}


@pytest.mark.usefixtures("parted")
def test_a_close_that_fails_while_groups_change_is_reported_at_the_end(project):
    project.plugin("""
        @stage
        class Untidy:
            def process(self, record):
                return record
            def close(self):
                if once("closed"):
                    raise ValueError("lost the key")
    """)
    source = {"use": "range", "with": {"stop": COUNT}}

    summary = project.execute("same", "untidy", source=source, sink="out.txt", run=AUTO | {"frame": 5})

    assert (summary.exit_code, summary.records["out"]) == (1, COUNT)
    assert summary.messages == ("closing failed in same+untidy: exit status 1",)


# Deaths meanwhile


@needs_proc
@pytest.mark.usefixtures("parted")
@pytest.mark.parametrize("moment", ["snapshot", "close", "flush"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_death_while_groups_change_costs_nothing(project, moment, place):
    chain = ["same", {"use": "same", "name": "again"}]
    chain.insert(place, {"use": "sum", "with": {"dies": moment}})
    (records, _, _), summary = outcome(project, *chain, fuse="auto", frame=16)

    assert records == sums(COUNT)
    assert (project / f"died in {moment}").exists()
    assert groups(summary) == [1, 2, 3]
    assert summary.restarts == (moment != "close")


@needs_proc
@pytest.mark.usefixtures("parted")
def test_a_death_before_anything_is_known_changes_nothing_about_it(project):
    project.plugin("""
        @stage
        def deadly(record):
            if record == 3 and once("died"):
                os.kill(os.getpid(), signal.SIGKILL)
            return record
    """)
    (records, _, _), summary = outcome(project, "same", "deadly", fuse="auto", frame=5)

    assert records == list(range(COUNT))
    assert (groups(summary), summary.restarts) == ([1, 2], 1)


@needs_proc
@pytest.mark.usefixtures("parted")
def test_a_fork_server_that_dies_while_groups_change_costs_nothing(project):
    project.plugin("""
        @stage
        class Patricide:
            def process(self, record):
                return record
            def close(self):
                if once("killed"):
                    os.kill(os.getppid(), signal.SIGKILL)
                    time.sleep(60)
    """)
    (records, _, _), summary = outcome(project, "same", "patricide", fuse="auto", frame=5)

    assert records == list(range(COUNT))
    assert (groups(summary), summary.restarts) == ([1, 2], 0)


@needs_proc
@several
@pytest.mark.parametrize("state", [False, True], ids=["without state", "with state"])
def test_a_parent_that_dies_while_groups_change_is_resumed(project, state):
    chain = [*HEAVY, *(["sum"] if state else [])]
    project.config(*chain, source={"use": "range", "with": {"stop": 600}}, sink="out.txt", run=AUTO)
    environment = os.environ | {"STAGERUNNER_KILL_AT": "regroup"}

    killed = project.cli("run", "chain.yaml", "-q", env=environment)
    resumed = project.cli("run", "chain.yaml", "-q", "--resume")

    assert killed.returncode == -signal.SIGKILL
    assert (resumed.returncode, resumed.stderr) == (0, b"")
    written = [int(line) for line in (project / "out.txt").read_text().split()]
    assert written == (sums(600) if state else list(range(600)))


@needs_proc
@several
@pytest.mark.parametrize("moment", ["snapshot", "close"])
def test_a_signal_while_groups_change_stops_in_good_order(project, moment):
    chain = [*HEAVY, {"use": "sum", "with": {"interrupts": moment}}]
    project.config(*chain, source={"use": "range", "with": {"stop": 600}}, sink="out.txt", run=AUTO)

    stopped = project.cli("run", "chain.yaml", "-q")
    resumed = project.cli("run", "chain.yaml", "-q", "--resume")

    assert (stopped.returncode, resumed.returncode) == (130, 0)
    assert [int(line) for line in (project / "out.txt").read_text().split()] == sums(600)
