"""A stage's `rate`, whatever its form, its workers and the number of its records."""

from __future__ import annotations

import pytest

PARTS = """
@stage
def plain(record):
    tell(f"call-{record}", time.monotonic())
    return record

@stage
async def awaited(record):
    tell(f"call-{record}", time.monotonic())
    return record

@stage
def many(record):
    tell(f"call-{record}", time.monotonic())
    yield record

@stage.batch
def lists(records):
    tell(f"call-{records[0]}", time.monotonic())
    return records

@stage
def deadly(record):
    tell(f"call-{record}-{os.getpid()}", time.monotonic())
    if record == 3 and once("died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return record
"""


def rates(project):
    """Calls a second between any two that follow each other."""
    times = sorted(float(path.read_text()) for path in project.folder.glob("call-*"))
    assert len(times) > 1
    return (len(times) - 1) / (times[-1] - times[0])


@pytest.mark.parametrize(
    ("use", "workers"), [("plain", 2), ("awaited", 2), ("awaited", 3), ("many", 2), ("lists", 2), ("deadly", 2)]
)
def test_all_workers_together_keep_it_for_few_records_too(project, use, workers):
    project.plugin(PARTS)
    stage = {"use": use, "workers": workers, "rate": "20/s"}
    assert list(project.results(stage, records=range(8), run={"frame": 1})) == list(range(8))

    # In shares of its own each worker would make it half of that, or less; a restart takes a moment too.
    assert (10 if use == "deadly" else 13) < rates(project) < 24


def test_a_list_is_one_call_however_it_was_gathered(project):
    project.plugin(PARTS)
    stage = {"use": "lists", "workers": 2, "rate": "20/s", "batch": {"size": 10, "wait": "1s"}}
    assert list(project.results(stage, records=range(80), run={"frame": 5})) == list(range(80))
    assert rates(project) < 24


def test_a_call_waiting_for_its_turn_is_not_late(project):
    project.plugin(PARTS)
    stage = {"use": "plain", "rate": "5/s", "timeout": "100ms"}
    assert list(project.results(stage, records=range(3))) == [0, 1, 2]
