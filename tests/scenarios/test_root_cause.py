"""Whatever part of a chain fails, its error is reported with its causes and the user's own lines."""

from __future__ import annotations

import pytest

from stagerunner import StageFailed
from stagerunner.errors import SetupFailed

PARTS = """
import asyncio

def fail(record):
    try:
        {}["x"]
    except KeyError as error:
        raise ValueError(f"bad {record}") from error

@stage
def plain(record: str) -> str:
    fail(record)

@stage
def many(record: str):
    yield record
    fail(record)

@stage.batch
def batch(records: list[str]) -> list[str]:
    fail(records[0])

@stage
async def awaited(record: str) -> str:
    await asyncio.sleep(0)
    fail(record)

@stage
class Flushed:
    def process(self, record: str) -> str:
        return record
    def flush(self):
        yield "one"
        fail("flush")

@source
class Numbers:
    def splits(self, after):
        from stagerunner import Split
        yield Split(3, 3, 3)
    def read(self, split):
        yield "a"
        fail("read")
    def identity(self):
        return 1

@sink
class Out:
    keeps = "nothing"
    def encode(self, records):
        for record in records:
            fail(record)
        return b""
    def open(self, position): pass
    def write(self, data): pass
    def position(self): pass
    def commit(self, row): pass
    def finish(self): pass
    def abort(self): pass
"""


@pytest.fixture
def chain(project):
    project.plugin(PARTS)
    project.write("in.txt", "a\n")
    return project


FORMS = {
    "plain": ({"use": "plain"}, {}),
    "many": ({"use": "many"}, {}),
    "batch": ({"use": "batch"}, {}),
    "awaited": ({"use": "awaited"}, {}),
    "flushed": ({"use": "flushed"}, {}),
    "retried": ({"use": "plain", "retry": {"attempts": 2, "delay": "1ms"}}, {}),
    "source": ("same", {"source": {"use": "numbers"}}),
    "encode": ("same", {"sink": {"use": "out"}}),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_cause_is_reported_with_its_lines(chain, form):
    stage, ends = FORMS[form]
    keys = {"source": "in.txt", "sink": {"use": "null"}, "run": {"engine": "inline"}} | ends

    with pytest.raises(StageFailed) as raised:
        chain.execute(stage, **keys)

    failure = raised.value.failure
    assert failure.type == "ValueError"
    assert [(cause.how, cause.type) for cause in failure.causes] == [("cause", "KeyError")]
    assert {frame.file for frame in failure.frames} == {str(chain / "parts.py")}
    assert "  caused by KeyError: 'x'\n    " in str(raised.value)


def test_between_processes_it_is_reported_as_well(chain):
    with pytest.raises(StageFailed) as raised:
        chain.execute("plain", source="in.txt", sink={"use": "null"})

    lines = str(raised.value).splitlines()
    assert lines[0] == "plain failed: ValueError: bad a"
    assert lines[-2] == "  caused by KeyError: 'x'"
    assert lines[-1].endswith("in fail")


def test_a_setup_that_fails_is_reported_with_its_cause(chain):
    late = """
@stage
class Late:
    def setup(self):
        fail("setup")
    def process(self, record):
        return record
"""
    chain.plugin(PARTS + late)

    with pytest.raises(SetupFailed, match="caused by KeyError"):
        chain.execute("late", source="in.txt", sink={"use": "null"})
