"""Stages with state: it survives any death, and the results are those of a run without deaths."""

from __future__ import annotations

import pytest

from stagerunner.errors import StageFailed
from stagerunner.events import WorkerFailed

KILLS = """
@stage
def deadly(record):
    if record in {at} and once(f"died{{record}}"):
        os.kill(os.getpid(), signal.SIGKILL)
    return record

@stage
class Running:
    "The running sum; it tells its state."
    def __init__(self):
        self.sum = 0
    def process(self, record):
        if record in {at} and once(f"died in state {{record}}"):
            os.kill(os.getpid(), signal.SIGKILL)
        self.sum += record
        return self.sum
    def flush(self):
        return [self.sum, self.sum]
    def snapshot(self):
        return self.sum
    def restore(self, data):
        self.sum = data

@stage
class Forgetful:
    "The same without a snapshot."
    def __init__(self):
        self.sum = 0
    def process(self, record):
        self.sum += record
        return self.sum
    def flush(self):
        return [self.sum]
"""

SUMS = [n * (n + 1) // 2 for n in range(2000)]
AT = [(0,), (1000,), (1999,), (3, 700, 701, 1500)]
RUN = {"frame": 50, "checkpoint": "1ms", "window": "64KiB"}


@pytest.mark.parametrize("at", AT)
def test_a_snapshot_is_all_that_is_needed(project, at):
    project.plugin(KILLS.format(at=at))

    results = project.results({"use": "deadly", "workers": 2}, "running", "same", records=range(2000), run=RUN)

    assert list(results) == [*SUMS, SUMS[-1], SUMS[-1]]
    assert results.summary.balanced
    assert len(at) < len(project.told(WorkerFailed)) <= 2 * len(at)


@pytest.mark.parametrize("at", AT)
def test_without_snapshots_the_source_is_read_again(project, at):
    project.plugin(KILLS.format(at=at))

    results = project.results("deadly", "forgetful", source={"use": "range", "with": {"stop": 2000}}, run=RUN)

    assert list(results) == [*SUMS, SUMS[-1]]
    assert results.summary.balanced


def test_a_record_that_fails_only_after_a_restart_ends_the_run_with_that_failure(project):
    project.plugin("""
        @stage
        class Fickle:
            def process(self, record):
                if record == 700 and once("died"):
                    os.kill(os.getpid(), signal.SIGKILL)
                if record == 650 and not once("came"):
                    raise ValueError("not twice")
                return record
            def snapshot(self):
                return 0
            def restore(self, data):
                pass
    """)

    results = project.results("fickle", records=range(2000), run={"frame": 10, "checkpoint": "1h"})
    with pytest.raises(StageFailed, match=r"fickle failed: ValueError: not twice\n  record: 650\n  from: record 650"):
        list(results)

    assert len(project.told(WorkerFailed)) == 1


def test_without_snapshots_and_with_records_given_the_first_death_ends_the_run(project):
    project.plugin(KILLS.format(at=(1000,)))

    with pytest.raises(Exception, match="SIGKILL"):
        list(project.results("deadly", "forgetful", records=range(2000)))


@pytest.mark.parametrize("at", AT)
def test_count_and_dedupe_under_kills(project, at):
    project.plugin(KILLS.format(at=at) + "@stage\ndef last(record):\n    return record % 7\n")
    stages = ["deadly", "last", "dedupe", {"use": "count"}]

    results = project.results(*stages, records=range(2000), run=RUN)

    assert list(results) == [{"record": n, "count": 1} for n in range(7)]
    assert results.summary.balanced


def test_a_death_while_flushing_costs_nothing(project):
    project.plugin("""
        @stage
        class Numbers:
            def process(self, record) -> None:
                pass
            def flush(self):
                for number in range(5000):
                    if number == 3000 and once("died"):
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield number
            def snapshot(self):
                return 0
            def restore(self, data):
                pass
    """)
    results = project.results("same", "numbers", "double", records=range(10))

    assert list(results) == [2 * n for n in range(5000)]
    assert results.summary.balanced
    assert len(project.told(WorkerFailed)) == 1


def test_a_snapshot_that_is_no_plain_data_ends_the_run_and_says_so(project):
    project.plugin("""
        @stage
        class Odd:
            def process(self, record):
                return record
            def snapshot(self):
                return object()
            def restore(self, data):
                pass
    """)
    source, sink = {"use": "range", "with": {"stop": 100_000}}, {"use": "jsonl", "with": {"path": "out.jsonl"}}

    with pytest.raises(Exception, match="the snapshot of odd is not plain data"):
        project.execute("odd", source=source, sink=sink, run=RUN)


@pytest.mark.parametrize("engine", ["process", "inline"])
@pytest.mark.parametrize("given", [0, 1, 5000])
def test_a_flush_that_fails_ends_the_run_however_much_it_gave(project, engine, given):
    project.plugin("""
        @stage
        class Failing:
            def __init__(self, *, given: int):
                self.given = given
            def process(self, record) -> None:
                pass
            def flush(self):
                yield from range(self.given)
                raise ValueError("no end")
    """)
    failing = {"use": "failing", "with": {"given": given}}
    results = project.results(failing, "same", records=range(3), run={"engine": engine})
    with pytest.raises(StageFailed, match="failing failed: ValueError: no end"):
        list(results)
