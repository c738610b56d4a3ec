from __future__ import annotations

import asyncio
import os

import pytest
from support.processes import children

INLINE = {"engine": "inline"}


def test_stages_run_in_this_process(project):
    project.plugin("""
        @stage
        def pid(record):
            return os.getpid()
    """)
    results = project.results({"use": "pid", "workers": 3}, records=[1, 2], run=INLINE)

    assert list(results) == [os.getpid()] * 2
    assert children() == set()


def test_what_a_stage_prints_goes_to_standard_error(project, capfd):
    project.plugin("""
        @stage
        def chatty(record):
            print("at", record)
            return record
    """)
    list(project.results("chatty", records=[1], run=INLINE))

    assert capfd.readouterr() == ("", "at 1\n")


def test_the_environment_of_a_stage_is_gone_afterwards(project):
    project.plugin("""
        @stage
        def seen(record):
            return os.environ["COLOUR"]
    """)
    stage = {"use": "seen", "env": {"COLOUR": "red"}}

    assert list(project.results(stage, records=[1], run=INLINE)) == ["red"]
    assert "COLOUR" not in os.environ


def test_every_frame_passes_the_codec_so_that_nothing_is_shared(project):
    project.plugin("""
        @stage
        def same_list(record):
            return record
        @stage
        def grown(record):
            record.append(1)
            return record
    """)
    given = [[], []]

    assert list(project.results("same_list", "grown", records=given, run=INLINE)) == [[1], [1]]
    assert given == [[], []]


def test_stages_are_closed_at_the_end(project):
    project.plugin("""
        @stage
        class Closing:
            def process(self, record):
                return record
            def close(self):
                tell("closed")
    """)
    list(project.results("closing", records=[1], run=INLINE))

    assert (project / "closed").exists()


def test_a_run_left_early_gives_back_everything(project):
    project.plugin("""
        @stage
        async def asked(record):
            return record
    """)
    with project.results("asked", records=range(1000), run=INLINE | {"frame": 1}) as results:
        assert next(results) == 0


@pytest.mark.parametrize("stages", [[], ["same"], ["same", "double", "double"]])
def test_clocks_are_kept_for_each_stage(project, stages):
    results = project.results(*stages, records=range(100), run=INLINE)
    list(results)

    assert len(results.summary.stages) == len(stages)
    assert all(stage.work > 0 for stage in results.summary.stages)


def test_stages_may_run_event_loops_where_the_caller_stands_in_one(project):
    """As in a notebook. The caller's own loop goes on meanwhile, and knows its task."""
    project.plugin("""
        import asyncio

        @stage
        async def awaited(record):
            await asyncio.sleep(0)
            return record + 1

        @stage
        def running(record):
            async def later():
                return record * 2
            return asyncio.run(later())

        @stage
        class Opening:
            async def setup(self):
                await asyncio.sleep(0)
            async def process(self, record):
                return record
            async def close(self):
                await asyncio.sleep(0)
    """)

    async def cell():
        got = []
        with project.results("awaited", "running", "opening", records=[1, 2, 3], run=INLINE) as results:
            for record in results:
                await asyncio.sleep(0)
                got.append((record, asyncio.current_task() is not None))
        return got

    assert asyncio.run(cell()) == [(4, True), (6, True), (8, True)]
