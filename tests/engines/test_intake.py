from __future__ import annotations

import subprocess
import sys

import pytest

from stagerunner.engines.sampling import sample
from stagerunner.runner import prepare


def test_standard_input_is_waited_for_and_read(project):
    """A pipe whose writer takes its time."""
    path = project.config("same", sink="-")
    code = f"from stagerunner.cli.program import program; program(['show', {str(path)!r}, '--sample', '3'])"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdin.write("a\nb\n")
        child.stdin.flush()
        page, _ = child.communicate("c\nd\n", timeout=60)

    assert page.startswith("3 source records")


def test_lines_that_cannot_be_read_are_failures_of_the_source(project):
    project.write("in.jsonl", '{"a": 1}\nnonsense\n{"a": 2}\n')
    plan = prepare(project.config("same", source=str(project / "in.jsonl"), sink="-")).plan
    seen = sample(plan, 10)

    assert (seen.source.taken, seen.source.given, seen.source.failed) == (3, 2, 1)


def test_records_may_be_given_instead_of_a_source(project):
    plan = project.load("same").plan

    assert sample(plan, 10, records=range(4)).stages[0].taken == 4


@pytest.mark.parametrize("number", [1, 7])
def test_no_more_records_are_read_than_were_asked_for(project, number):
    project.write("in.txt", "line\n" * 1000)
    plan = prepare(project.config("same", source=str(project / "in.txt"), sink="-")).plan

    assert sample(plan, number).records == number
