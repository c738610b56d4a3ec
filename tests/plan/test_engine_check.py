"""Where the problems of an engine stand in a config."""

from __future__ import annotations

import pytest

from stagerunner.hookspecs import Problem
from stagerunner.plan.engine_check import placed, problems_of
from stagerunner.plan.preparing import prepare

CHAIN = """\
version: 1
stages:
  - {use: text.strip, resources: {cpu: 99}}
run:
  engine: threads
"""


@pytest.fixture
def prepared(tmp_path):
    chain = tmp_path / "chain.yaml"
    chain.write_text(CHAIN)
    return prepare(chain)


@pytest.mark.parametrize(
    ("problem", "engine", "line", "path"),
    [
        (Problem("too many cores", "strip", ("resources", "cpu")), "threads", 3, "stages[0].resources.cpu"),
        (Problem("too many cores", "strip", ("timeout",)), "threads", 3, "stages[0]"),
        (Problem("there is no cluster"), "threads", 5, "run.engine"),
        (Problem("there is no cluster"), "other", 1, "run.engine"),
    ],
)
def test_a_problem_stands_at_the_nearest_place_that_is_written(prepared, problem, engine, line, path):
    mistake = placed(problem, prepared.config, engine)
    assert (mistake.message, mistake.mark.line, mistake.path) == (problem.message, line, path)
    assert mistake.mark.file == ("--engine" if engine == "other" else prepared.config.file)


def test_an_engine_may_say_its_problems_as_text_or_not_at_all(prepared):
    class Talks:
        def check(self, plan):
            return ["no room", Problem("no key", fix="write one")]

    assert problems_of(Talks(), prepared.plan) == [Problem("no room"), Problem("no key", fix="write one")]
    assert problems_of(object(), prepared.plan) == []
