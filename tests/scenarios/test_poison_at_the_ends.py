"""A record that kills or hangs its worker in the source, the sink or a flush costs one record, as in a stage."""

from __future__ import annotations

import json

import pytest

from stagerunner.engines.process.parent import health
from stagerunner.errors import StageFailed, WorkerDied
from stagerunner.events import RecordFailed

PARTS = """
from collections.abc import Iterator
from stagerunner import Split

@source
class Numbers:
    "Two splits of ten; what is wrong happens as the sixth of the second is read."
    def __init__(self, *, wrong: str):
        self.wrong = wrong
    def splits(self, after):
        for number in range(after or 0, 2):
            yield Split([number * 10, number * 10 + 10], 10, number + 1)
    def read(self, split):
        for number in range(*split.data):
            if number == 5:
                os._exit(3) if self.wrong == "exits" else time.sleep(1000)
            yield number
    def identity(self):
        return self.wrong

class Deadly:
    def __init__(self, how):
        self.how = how
    def tolist(self):
        os._exit(3) if self.how == "exits" else time.sleep(1000)

@stage
def deadly(record: int, *, how: str) -> object:
    return [record, Deadly(how)] if record in (3, 7) else record

@stage
def twice(record: int) -> Iterator[int]:
    yield record
    yield record

@stage
class Flushes:
    def __init__(self, *, how: str):
        self.how = how
    def process(self, record: int) -> int:
        return record
    def flush(self):
        for number in range(100, 105):
            if number == 102:
                os._exit(3) if self.how == "exits" else time.sleep(1000)
            yield number
    def snapshot(self):
        return None
    def restore(self, data):
        pass

@stage
def closes(record: int, *, opens: bool = False) -> int:
    if record == 3:
        os.closerange(3, 1000)
        if opens:
            for number in range(20):
                os.open(Path(__file__).parent / "opened", os.O_RDWR | os.O_CREAT)
    return record

@stage
class ClosesAtOnce:
    def setup(self):
        os.closerange(3, 1000)
    def process(self, record: int) -> int:
        return record
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(health, "STACKS", 0.05)


TIMED = {"use": "same", "timeout": "150ms"}


@pytest.mark.parametrize(("wrong", "kind"), [("exits", "Killed"), ("hangs", "Timeout")])
def test_a_record_that_kills_its_reader_is_the_sources_failure(project, wrong, kind):
    project.plugin(PARTS)
    letters = project / "letters.jsonl"
    source = {"use": "numbers", "with": {"wrong": wrong}, "on_error": "dead_letter"}

    results = project.results(TIMED, source=source, dead_letter=str(letters))

    assert list(results) == [0, 1, 2, 3, 4, *range(10, 20)]
    (letter,) = map(json.loads, letters.read_text().splitlines())
    assert (letter["stage"], letter["type"]) == ("source", kind)
    assert "the rest of its split can't be read" in letter["message"]
    assert (results.summary.records["in"], results.summary.records["dead"]) == (16, 1)
    assert results.summary.balanced


def test_a_record_that_kills_its_reader_ends_the_run_where_the_source_says_fail(project):
    project.plugin(PARTS)
    got = []

    with pytest.raises(StageFailed, match=r"source failed: Killed: .*exit status 3"):
        for record in project.results("same", source={"use": "numbers", "with": {"wrong": "exits"}}):
            got.append(record)

    assert got == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("how", "kind"), [("exits", "Killed"), ("hangs", "Timeout")])
def test_a_record_that_kills_its_encoder_is_the_sinks_failure(project, how, kind):
    project.plugin(PARTS)
    stages = ["twice", {"use": "deadly", "with": {"how": how}, "timeout": "150ms"}]
    project.write("in.jsonl", "".join(f"{number}\n" for number in range(3, 6)))
    sink = {"use": "jsonl", "with": {"path": "out.jsonl"}, "on_error": "skip"}

    summary = project.execute(*stages, source={"use": "jsonl", "with": {"path": "in.jsonl"}}, sink=sink)

    assert (project / "out.jsonl").read_text() == "4\n4\n5\n5\n"
    assert [(failed.stage, failed.type) for failed in project.told(RecordFailed)] == [("sink", kind)] * 2
    assert (summary.exit_code, summary.records["skipped"], summary.balanced) == (0, 2, True)


def test_a_record_that_kills_its_encoder_ends_the_run_where_the_sink_says_fail(project):
    project.plugin(PARTS)
    project.write("in.jsonl", "".join(f"{number}\n" for number in range(6)))
    source, sink = {"use": "jsonl", "with": {"path": "in.jsonl"}}, {"use": "jsonl", "with": {"path": "out.jsonl"}}

    with pytest.raises(StageFailed, match="sink failed: Killed"):
        project.execute({"use": "deadly", "with": {"how": "exits"}}, source=source, sink=sink)


@pytest.mark.parametrize(("how", "kind"), [("exits", "Killed"), ("hangs", "Timeout")])
def test_a_flush_that_kills_its_worker_fails_where_it_does(project, how, kind):
    project.plugin(PARTS)
    stage = {"use": "flushes", "with": {"how": how}, "timeout": "150ms", "on_error": "skip"}

    results = project.results(stage, "same", records=range(3))

    assert list(results) == [0, 1, 2, 100, 101]
    assert [(failed.stage, failed.type) for failed in project.told(RecordFailed)] == [("flushes", kind)]
    assert results.summary.balanced


@pytest.mark.parametrize("opens", [False, True])
def test_a_stage_that_closes_its_workers_descriptors_loses_that_record(project, opens):
    project.plugin(PARTS)
    letters = project / "letters.jsonl"
    stage = {"use": "closes", "with": {"opens": opens}, "on_error": "dead_letter"}

    assert list(project.results("same", stage, "same", records=range(6), dead_letter=str(letters))) == [0, 1, 2, 4, 5]

    (letter,) = map(json.loads, letters.read_text().splitlines())
    assert (letter["stage"], letter["record"]) == ("closes", 3)
    assert "a stage that closed its descriptors" in letter["message"]


def test_a_stage_that_closes_them_as_it_is_set_up_is_named(project):
    project.plugin(PARTS)

    with pytest.raises(WorkerDied, match=r"a worker of closesatonce .* ended by a stage that closed its descriptors"):
        list(project.results("same", "closesatonce", records=range(6)))
