from __future__ import annotations

import pytest

from stagerunner.errors import RunFailed
from stagerunner.runtime.making import make_part, stream_records

SOURCES = """
    @source
    def some():
        yield from (1, 2)

    @source
    def fails():
        yield 1
        raise ValueError("the line is dead")
"""


@pytest.fixture
def planned(project):
    project.plugin(SOURCES)
    return lambda use: project.plan("same", source=use, sink="out.jsonl").source


def test_a_generator_has_no_instance_in_the_parent(planned):
    assert make_part(planned("some")) is None
    assert make_part(planned({"use": "range", "with": {"stop": 5}})).stop == 5


def test_what_a_stream_in_this_process_raises_ends_the_run(planned):
    assert list(stream_records(planned("some"))) == [1, 2]
    records = stream_records(planned("fails"))
    assert next(records) == 1
    with pytest.raises(RunFailed, match="the source failed: ValueError: the line is dead"):
        next(records)
