"""A stage that needs no more ends the run in good order, however far the source would go."""

from __future__ import annotations

from itertools import count

import pytest

SOURCE = {"use": "range", "with": {"stop": 10**9}}


def take(n: int) -> dict:
    return {"use": "take", "with": {"n": n}}


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize("n", [0, 1, 5, 16, 17, 1000])
@pytest.mark.parametrize("stages", [[], ["same"]])
def test_take_ends_an_endless_source(project, engine, n, stages):
    results = project.results(*stages, take(n), *stages, records=count(), run={"engine": engine})

    assert list(results) == list(range(n))
    assert results.summary.balanced
    assert results.summary.restarts == 0


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_take_between_wide_stages(project, workers):
    wide = {"use": "double", "workers": workers}
    results = project.results(wide, take(500), wide, source=SOURCE)

    assert list(results) == [4 * n for n in range(500)]
    assert results.summary.balanced


def test_the_output_of_a_stopped_chain_is_complete(project):
    sink = {"use": "lines", "with": {"path": "out.txt"}}

    summary = project.execute("same", take(100), source=SOURCE, sink=sink)

    assert (project / "out.txt").read_text() == "".join(f"{n}\n" for n in range(100))
    assert (summary.exit_code, summary.records["out"]) == (0, 100)
    assert sorted(path.name for path in project.folder.glob("out.txt*")) == ["out.txt"]


def test_two_stages_that_need_no_more(project):
    assert list(project.results(take(50), "same", take(20), source=SOURCE)) == list(range(20))
    assert list(project.results(take(20), "same", take(50), source=SOURCE)) == list(range(20))


def test_stages_behind_the_stop_are_flushed_and_those_before_it_are_not(project):
    project.plugin("""
        @stage
        class Sum:
            def __init__(self):
                self.sum = 0
            def process(self, record):
                self.sum += 1
                return record
            def flush(self):
                yield f"{self.sum} records"
    """)

    assert list(project.results("sum", take(3), "sum", source=SOURCE)) == [0, 1, 2, "3 records"]


def test_failures_behind_the_stop_do_not_count(project):
    project.plugin("""
        @stage
        def odd(record):
            if record >= 10:
                raise ValueError("too far")
            return record
    """)
    results = project.results("odd", take(10), records=range(1000), run={"frame": 100})

    assert list(results) == list(range(10))


def test_a_death_after_the_stop_costs_nothing(project):
    project.plugin("""
        @stage
        class Deadly:
            def process(self, record):
                return record
            def close(self):
                pass
            def flush(self):
                if once("died"):
                    os.kill(os.getpid(), signal.SIGKILL)
                return ["flushed"]
            def snapshot(self):
                return 0
            def restore(self, data):
                pass
    """)
    results = project.results(take(100), "deadly", source=SOURCE)

    assert list(results) == [*range(100), "flushed"]
    assert results.summary.balanced
    assert results.summary.restarts == 1


def test_leaving_the_iterator_early_ends_every_process(project):
    with project.results("same", "double", records=count()) as results:
        assert [next(results) for _ in range(3)] == [0, 2, 4]

    assert results.summary is not None
