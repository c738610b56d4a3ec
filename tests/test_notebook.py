"""Chains of mappings and objects, as a notebook or a script has them: nothing of it need be importable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from support.leaks import nothing_left

import stagerunner
from stagerunner import sink, source, stage
from stagerunner.errors import ConfigError, RunFailed


@stage("loud")
def shout(text: str, *, times: int = 1) -> str:
    return text.upper() + "!" * times


class Counting:
    def __init__(self, *, start: int = 0):
        self._count = start

    def process(self, record: object) -> None:
        self._count += 1

    def flush(self):
        yield self._count


@pytest.fixture
def importable(monkeypatch):
    """Workers find this module as our own process has found it."""
    monkeypatch.syspath_prepend(Path(__file__).parents[__name__.count(".")])


@source
def ticks(*, stop: int = 3):
    yield from map(str, range(stop))


@sink
class Kept:
    keeps = "nothing"
    kept = b""

    def encode(self, records):
        return b"".join(json.dumps(record).encode() + b"\n" for record in records)

    def open(self, position):
        type(self).kept = b""

    def write(self, data):
        type(self).kept += data

    def position(self):
        return None

    def commit(self, row):
        pass

    def finish(self):
        pass

    def abort(self):
        pass


def inline(*stages, records=("a", "b"), **keys):
    with nothing_left():
        chain = stagerunner.load({"version": 1, "stages": list(stages), **keys}, engine="inline")
        return list(chain.run(records))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["text.upper"], ["A", "B"]),
        ([{"use": shout, "with": {"times": 2}}], ["A!!", "B!!"]),
        ([shout, lambda text: text + "?"], ["A!?", "B!?"]),
        ([str.upper, {"use": partial(shout, times=3), "name": "more"}], ["A!!!", "B!!!"]),
        ([Counting], [2]),
        ([{"use": Counting, "with": {"start": 40}}], [42]),
    ],
)
def test_a_stage_may_be_a_name_or_the_object_itself(parts, expected):
    assert inline(*parts) == expected


def test_a_local_function_is_run_as_often_as_the_chain():
    seen = []
    chain = stagerunner.load({"version": 1, "stages": [lambda record: seen.append(record) or record]}, engine="inline")
    assert [list(chain.run([n])) for n in range(3)] == [[0], [1], [2]]
    assert seen == [0, 1, 2]


def test_a_decorated_function_goes_by_the_name_it_was_given():
    plan = stagerunner.load({"version": 1, "stages": [shout]}, engine="inline").plan
    assert [one.name for one in plan.stages] == ["loud"]


def test_a_source_and_a_sink_may_be_objects():
    def count(*, stop: int):
        yield from range(stop)

    with nothing_left():
        config = {"version": 1, "source": {"use": count, "with": {"stop": 3}}, "stages": [], "sink": Kept}
        assert stagerunner.run(config, engine="inline").records["out"] == 3
    assert Kept.kept == b"0\n1\n2\n"


def test_what_such_a_source_raises_is_the_sources_failure():
    def broken():
        yield "a"
        raise LookupError("mine")

    chain = stagerunner.load({"version": 1, "source": broken, "stages": []}, engine="inline")
    with pytest.raises(RunFailed, match="the source failed: LookupError: mine"):
        list(chain.run())


def test_what_can_be_imported_runs_in_processes_too(importable):
    with nothing_left():
        chain = stagerunner.load({"version": 1, "source": ticks, "stages": [str.upper, {"use": shout, "workers": 2}]})
        assert list(chain.run()) == ["0!", "1!", "2!"]


def test_what_can_not_is_a_mistake_for_each():
    def local():
        yield 1

    with pytest.raises(ConfigError) as caught:
        stagerunner.load({"version": 1, "source": local, "stages": [lambda record: record, shout]})
    told = [(str(mistake.mark), mistake.code) for mistake in caught.value.mistakes]
    assert told == [("source", "not-importable"), ("stages[0]", "not-importable")]
    assert "move it to a module, or take engine='inline'" in str(caught.value)


def test_options_are_checked_by_the_hints_of_the_object():
    with pytest.raises(ConfigError, match=r"^stages\[0\].with.times: times must be a whole number, not the text 'x'$"):
        inline({"use": shout, "with": {"times": "x"}})


def test_plugins_may_be_objects_and_modules(importable):
    text = "version: 1\nstages: [loud]\n"
    assert list(stagerunner.load(text, plugins=[shout], engine="inline").run(["a"])) == ["A!"]
    assert list(stagerunner.load(text, plugins=[sys.modules[__name__]], engine="inline").run(["a"])) == ["A!"]
    assert list(stagerunner.load(text, plugins=[shout]).run(["a"])) == ["A!"]


def test_a_plugin_that_only_this_process_has_runs_inline():
    @stage
    def local(text):
        return text + "."

    text = "version: 1\nstages: [local]\n"
    assert list(stagerunner.load(text, plugins=[local], engine="inline").run(["a"])) == ["a."]
    with pytest.raises(ConfigError, match="a worker process can't import it"):
        stagerunner.load(text, plugins=[local])


def test_a_plugin_that_says_not_what_it_is_is_a_mistake():
    with pytest.raises(ConfigError, match="'dumps' isn't a part: it isn't decorated; write @stage"):
        stagerunner.load("version: 1\nstages: []\n", plugins=[json.dumps], engine="inline")
    assert stagerunner.load("version: 1\nstages: []\n", plugins=[ModuleType("empty")], engine="inline")


SCRIPT = """
import stagerunner
from dataclasses import dataclass

@dataclass
class Point:
    x: int

@stagerunner.stage
def moved(point: Point, *, by: int = 1) -> Point:
    return Point(point.x + by)

chain = stagerunner.load({"version": 1, "stages": [{"use": moved, "with": {"by": 2}}]}, engine="inline")
print(list(chain.run([Point(1)])))
try:
    stagerunner.load({"version": 1, "stages": [moved]})
except stagerunner.ConfigError as error:
    print(error)
for records in [Point(1)], iter([Point(1)]):
    try:
        list(stagerunner.load({"version": 1, "stages": [repr]}).run(records))
    except stagerunner.UsageError as error:
        print(error)
"""


def test_what_a_program_defines_itself_runs_inline(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "[Point(x=3)]",
        "stages[0]: 'moved' is a lambda, local, or defined in __main__: a worker process can't import it; "
        "move it to a module, or take engine='inline'",
        *[
            "a worker process can't read records of type Point, which is defined in __main__; "
            "move it to a module, or take engine='inline'"
        ]
        * 2,
    ]


def test_what_a_notebook_shows_of_a_run_is_one_line():
    results = stagerunner.load({"version": 1, "name": "up", "stages": ["text.upper"]}, engine="inline").run(["a", "b"])
    assert repr(results) == "<Results of up, under way: iterate to get its records>"
    assert list(results) == ["A", "B"]
    assert repr(results) == "<Results of up, over>"
    assert re.fullmatch(r"<Summary up: exit code 0 after 0\.\d s · 2 in · 2 out>", repr(results.summary))
