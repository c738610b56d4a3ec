from __future__ import annotations

import os

import pytest

from stagerunner.api import prepare
from stagerunner.errors import RunFailed, SetupFailed
from stagerunner.runtime.sample import sample

RANGE = {"use": "range", "with": {"stop": 1000}}


@pytest.fixture
def sampled(project):
    """A sample of a chain with these stages, into a file that must not be there afterwards."""

    def sampled(*stages, number=500, **keys):
        sink = {"use": "lines", "with": {"path": str(project / "out.txt")}}
        keys = {"source": RANGE, "sink": sink, "dead_letter": str(project / "dead.jsonl"), **keys}
        return sample(prepare(project.config(*stages, **keys)).plan, number)

    return sampled


def test_each_stage_is_measured(sampled):
    seen = sampled("same", "double")

    assert seen.records == 500
    assert [cost.name for cost in seen.stages] == ["same", "double"]
    assert all(cost.taken == cost.out == 500 for cost in seen.stages)
    assert all(min(cost.work, cost.codec, cost.each) > 0 for cost in seen.stages)
    assert seen.cpu > sum(cost.work for cost in seen.stages) / 2


def test_nothing_is_written(sampled, project):
    before = sorted(os.listdir(project.folder))
    sampled("same", number=50)

    assert sorted(name for name in os.listdir(project.folder) if name not in ("chain.yaml", "__pycache__")) == [
        name for name in before if name not in ("chain.yaml", "__pycache__")
    ]


def test_failures_are_counted_and_do_not_end_it(sampled, project):
    project.plugin("""
        @stage
        def odd(record):
            if record % 2:
                raise ValueError(f"{record} is odd")
            return record
    """)
    (odd, after) = sampled("odd", "same", number=100).stages

    assert (odd.taken, odd.out, odd.failed, after.taken) == (100, 50, 50, 50)
    assert odd.failure == "ValueError: 1 is odd"


def test_a_stage_that_takes_lists_gets_whole_ones(sampled, project):
    project.plugin("""
        @stage(state=False)
        class Lists:
            def __init__(self, *, path: str): self._path = path
            def process_batch(self, records):
                time.sleep(0.005)
                with open(self._path, "a") as file:
                    print(len(records), file=file)
                return records
    """)
    sizes = project.folder / "sizes.txt"
    sampled({"use": "lists", "with": {"path": str(sizes)}, "batch": 40}, number=200)

    assert sizes.read_text().split() == ["1", "39", "40", "40", "40", "40"]


def test_what_cannot_be_pickled_is_a_failure_of_the_stage_it_left(sampled, project):
    project.plugin("""
        @stage
        def lazy(record):
            return lambda: record
    """)
    assert sampled("lazy", "same", number=10).stages[0].failed == 10


def test_stages_that_wait_take_no_cpu(sampled, project):
    project.plugin("""
        @stage
        def waits(record):
            time.sleep(0.002)
            return record
    """)
    seen = sampled("waits", number=50)

    assert seen.stages[0].work >= 0.0015
    assert seen.cpu < seen.stages[0].work


def test_the_time_of_an_async_stage_is_its_latency_by_its_concurrency(sampled, project):
    project.plugin("""
        import asyncio
        @stage
        async def asks(record):
            await asyncio.sleep(0.2)
            return record
    """)
    (asks,) = sampled({"use": "asks", "concurrency": 10}, number=40).stages

    assert 0.02 <= asks.each < 0.06


def test_costs_are_per_source_record_and_per_record_of_their_own(sampled, project):
    project.plugin("""
        @stage
        def twice(record):
            yield record
            yield record
    """)
    (_, after) = sampled("twice", "same").stages

    assert after.taken == 1000
    assert after.work == pytest.approx(2 * after.each)


def test_a_stage_that_needs_no_more_ends_it(sampled, project):
    project.plugin("""
        @stage
        def three(record):
            if record == 3:
                enough()
            return record
    """)
    seen = sampled("three")

    assert seen.stages[0].out == 4
    assert seen.records < 500


def test_a_short_source_is_taken_whole(sampled):
    seen = sampled("same", number=10**6, source={"use": "range", "with": {"stop": 3}})

    assert (seen.records, seen.stages[0].work > 0) == (3, True)


def test_an_empty_source_gives_nothing_to_measure(sampled):
    assert sampled("same", source={"use": "range", "with": {"stop": 0}}).records == 0


def test_a_chain_without_stages_is_its_ends(sampled):
    seen = sampled()

    assert (seen.stages, seen.records, seen.cpu > 0) == ((), 500, True)


def test_the_environment_of_a_stage_is_gone_afterwards(sampled):
    sampled({"use": "same", "env": {"COLOUR": "red"}}, number=5)

    assert "COLOUR" not in os.environ


def test_a_stage_that_cannot_be_set_up_is_named(sampled, project):
    project.plugin("""
        @stage
        class Broken:
            def setup(self):
                raise OSError("no such model")
            def process(self, record):
                return record
    """)
    with pytest.raises(SetupFailed, match=r"broken could not be set up.*OSError: no such model"):
        sampled("broken")


def test_a_source_that_fails_ends_it(sampled, project):
    project.plugin("""
        @source
        def ticks():
            raise OSError("gone")
            yield
    """)
    with pytest.raises(RunFailed, match="gone"):
        sampled("same", source="./parts.py:ticks")


def test_ctrl_c_in_a_transform_is_not_taken_for_a_failure(sampled, project):
    project.plugin("""
        @stage
        def slow(record):
            raise KeyboardInterrupt
    """)
    with pytest.raises(KeyboardInterrupt):
        sampled("slow")
