from __future__ import annotations

import json

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
