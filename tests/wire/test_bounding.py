"""`run.max_record` for records that have no bytes of their own until they are sent."""

from __future__ import annotations

import pytest

from stagerunner import StageFailed
from stagerunner.records import Malformed
from stagerunner.wire.bounding import bounded

LARGE = 100_000
SOURCE = """
@source
def some():
    for number in range(8):
        yield "x" * (LARGE if number == 5 else 9000)
"""


def test_if_all_fit_the_same_list_comes_back():
    records = ["a" * 50, {"b": 1}]

    assert bounded(records, 100) is records


def test_a_record_that_is_too_large_is_replaced():
    small, large = bounded(["a", "b" * 500], 100)

    assert small == "a"
    assert (type(large), large.type) == (Malformed, "TooLarge")
    assert "max_record allows 100" in large.message


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize("number", [0, 3, 7])
@pytest.mark.parametrize("kind", [str, bytearray])
def test_a_given_record_that_is_too_large_ends_the_run_in_its_place(project, engine, number, kind):
    made = "x".__mul__ if kind is str else bytearray
    records = (made(LARGE if n == number else 10 + n) for n in range(8))
    results = project.results("same", records=records, run={"engine": engine, "max_record": "50KB", "frame": 8})

    got = []
    with pytest.raises(StageFailed, match=rf"(?s)TooLarge.*max_record allows 50,000.*record {number}"):
        got.extend(results)
    assert [len(record) for record in got] == [10 + n for n in range(number)]


def test_as_large_as_allowed_is_not_too_large(project):
    records = ["x" * 40_000 for _ in range(20)]

    assert list(project.results("same", records=iter(records), run={"max_record": "50KB", "frame": 10})) == records


@pytest.mark.parametrize("engine", ["inline", "process"])
@pytest.mark.parametrize("policy", ["skip", "dead_letter"])
def test_records_of_a_stream_have_the_same_limit(project, engine, policy):
    project.plugin(SOURCE.replace("LARGE", str(LARGE)))
    source = {"use": "some", "on_error": policy}
    keys = {"sink": "out.txt", "dead_letter": "dead.jsonl", "run": {"engine": engine, "max_record": "50KB"}}

    records = project.execute("same", source=source, **keys).records

    assert (records["in"], records["out"], records["skipped"] + records["dead"]) == (8, 7, 1)
    assert policy == "skip" or "TooLarge" in (project / "dead.jsonl").read_text()
