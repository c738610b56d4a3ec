from __future__ import annotations

import json
from pathlib import Path

import pytest

from stagerunner.api import prepare
from stagerunner.errors import ConfigError
from stagerunner.plan.preparing import Request

BROKEN = "version: 1\nsource: {use: range, with: {stop: x}}\nstages: [text.strp]\n"


def test_a_chain_without_mistakes_is_ok_and_says_what_is_promised(invoke, chain):
    result = invoke("check", chain("./parts.py:same"))
    assert (result.return_value, result.stdout) == (0, "")
    assert result.stderr.startswith("ok  chain.yaml\n")
    assert "exactly once" in result.stderr


def test_all_mistakes_of_all_files_are_reported(invoke, chain, write):
    write("broken.yaml", BROKEN)
    result = invoke("check", "broken.yaml", chain(), "nowhere.yaml")
    assert result.return_value == 2
    told = result.stderr
    assert "broken.yaml:2:" in told
    assert "did you mean 'text.strip'?" in told
    assert "ok  chain.yaml" in told
    assert "no file nowhere.yaml" in told


def test_nothing_is_started(invoke, write, folder):
    write("parts.py", "def touch(record):\n    open('touched', 'w')\n    return record\n")
    write("c.yaml", "version: 1\nsource: {use: range, with: {stop: 5}}\nstages: ['./parts.py:touch']\nsink: o.jsonl\n")
    assert invoke("check", "c.yaml").return_value == 0
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {"parts.py", "c.yaml"}


def test_json_is_one_list(invoke, chain, write):
    write("broken.yaml", BROKEN)
    result = invoke("check", chain(), "broken.yaml", "--json")
    good, broken = json.loads(result.stdout)
    assert (good["file"], good["ok"], good["mistakes"]) == ("chain.yaml", True, [])
    assert good["notes"]
    assert broken["ok"] is False
    assert set(broken["mistakes"][0]) == {"code", "message", "file", "line", "column", "path", "fix"}
    assert result.stdout == invoke("check", "chain.yaml", "broken.yaml", "--format", "json").stdout


def test_github_gets_a_line_for_each_mistake(invoke, write):
    write("broken.yaml", BROKEN)
    lines = invoke("check", "broken.yaml", "--format", "github").stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("::error file=broken.yaml,line=") for line in lines)


def test_what_the_call_sets_is_checked_too(invoke, chain):
    result = invoke("check", chain("./parts.py:same"), "--set", "stages.same.workers=x")
    assert result.return_value == 2
    assert "--set:1:" in result.stderr


def test_as_a_process_the_exit_code_is_2(call, write):
    write("broken.yaml", BROKEN)
    ended = call("check", "broken.yaml")
    assert (ended.returncode, ended.stdout) == (2, "")


FORGETS = """
from stagerunner import stage

@stage
class Total:
    def process(self, record):
        self.total = getattr(self, "total", 0) + record
        return self.total
"""


def test_a_stage_that_remembers_without_saying_so_gets_no_promise_anywhere(invoke, chain, write):
    write("forgets.py", FORGETS)
    warning = "changes self.total (forgets.py:7) and declares no state"

    checked = invoke("check", chain("./forgets.py:Total", sink="o.jsonl")).stderr
    shown = invoke("stages", "show", "./forgets.py:Total").stdout

    assert "not exactly once: 'total'" in checked
    assert warning in checked
    assert "Write @stage(state=True), or state=False" in checked
    assert warning in shown
    assert "safe with many workers" not in shown


ENGINE = """
from stagerunner import hookimpl
from stagerunner.hookspecs import EngineSpec, Problem

class Slow:
    def __init__(self, *, size: int = 1): ...
    def check(self, plan):
        yield Problem("too large", plan.stages[0].name, ("resources", "cpu"), "want less")
        yield Problem("too small", place=("size",))
        yield "not today"

@hookimpl
def stagerunner_engines():
    return [EngineSpec("slow", f"{__name__}:Slow", resources=True)]
"""
SLOW = """version: 1
plugins: [./engine.py]
source: {use: range, with: {stop: 5}}
stages:
  - use: text.strip
    resources: {cpu: 3}
sink: o.jsonl
run:
  engine: {use: slow, with: {size: 2}}
"""


def test_what_an_engine_can_not_run_stands_where_it_is_written(invoke, write):
    write("engine.py", ENGINE)
    write("c.yaml", SLOW)
    told = invoke("check", "c.yaml").stderr
    with pytest.raises(ConfigError) as caught:
        prepare(Path("c.yaml")).execute()

    places = ["6:22  (stages[0].resources.cpu)", "9:11  (run.engine)", "9:36  (run.engine.with.size)"]
    assert [line.split("--> c.yaml:")[1] for line in told.splitlines() if "--> " in line] == places
    assert [f"{m.mark.line}:{m.mark.column}  ({m.path})" for m in caught.value.mistakes] == places
    assert "want less" in told


def test_an_engine_that_the_call_names_has_its_place_there(write):
    write("engine.py", ENGINE)
    write("c.yaml", SLOW.partition("run:")[0])
    with pytest.raises(ConfigError, match="--engine:1:1: not today"):
        prepare(Path("c.yaml"), Request(engine="slow")).execute()
