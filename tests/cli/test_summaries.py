from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from stagerunner.cli.streams import Streams
from stagerunner.cli.summaries import SummaryFile, to_stdout
from stagerunner.errors import RunFailed, UsageError


def plan(part: str, **options: object) -> SimpleNamespace:
    return SimpleNamespace(sinks=[SimpleNamespace(part=SimpleNamespace(name=part), options=options)])


@pytest.mark.parametrize(
    ("sink", "shared"),
    [
        (plan("stdout"), True),
        (plan("jsonl", path=Path("-")), True),
        (plan("jsonl", path=Path("a")), False),
        (SimpleNamespace(sinks=[]), False),
    ],
)
def test_whether_results_go_to_standard_output(sink, shared):
    assert to_stdout(sink) is shared


@pytest.mark.parametrize("path", ["nowhere/s.json", "."])
def test_a_place_that_can_not_be_written_is_refused_before_the_run(folder, path):
    with pytest.raises(UsageError, match="can't be written"):
        SummaryFile.of(path, plan("null"))


def test_a_write_that_fails_is_reported(folder):
    with pytest.raises(RunFailed, match="can't be written to"):
        SummaryFile("nowhere/s.json").write(SimpleNamespace(as_json=dict), Streams(), None)


def test_without_a_path_there_is_no_summary(capsys):
    SummaryFile.of(None, plan("stdout")).write(SimpleNamespace(as_json=dict), Streams(), None)
    assert capsys.readouterr().out == ""
