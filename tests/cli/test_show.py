from __future__ import annotations

import json

import pytest

HIDE = "{use: anonymize, name: hide, workers: 2, with: {fields: [ip], salt: '${secret:SALT}'}}"


@pytest.fixture(autouse=True)
def _salt(monkeypatch):
    monkeypatch.setenv("SALT", "hunter2hunter2")


def test_each_value_stands_beside_its_origin(invoke, chain):
    lines = invoke("show", chain(HIDE), "--set", "stages.hide.workers=3").stdout.splitlines()
    said = {line.split("  # ")[0].strip(): line.partition("  # ")[2] for line in lines}
    assert said["workers: 3"] == "--set"
    assert said["name: hide"] == "chain.yaml:3"
    assert said["method: hash"] == "default"


def test_secrets_are_not_shown(invoke, chain):
    page = invoke("show", chain(HIDE)).stdout
    assert "hunter2" not in page
    assert 'salt: "***"' in page


def test_json_has_the_config_and_the_origins(invoke, chain):
    told = json.loads(invoke("show", chain(HIDE), "--json").stdout)
    assert told["format"] == 1
    assert told["config"]["stages"][0]["workers"] == 2
    assert told["origins"]["stages[0].workers"] == "chain.yaml:3"


def test_the_graph_is_one_line(invoke, chain):
    assert invoke("show", chain(HIDE), "-h").stdout
    assert invoke("show", chain(HIDE), "--graph").stdout == "range ─▶ hide ×2 ─▶ stdout\n"
    assert invoke("show", chain(), "--graph").stdout == "range ─▶ copy ─▶ stdout\n"


def test_a_broken_chain_is_exit_2(call, write):
    write("broken.yaml", "version: 1\n")
    ended = call("show", "broken.yaml")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "`stages:` is missing" in ended.stderr


def test_the_stages_that_may_share_workers_are_named(invoke, chain):
    file = chain("text.strip", "text.strip", "{use: text.strip, timeout: 1s}")
    auto = ("--set", "run.fuse=auto")
    told = [
        "text-strip + text-strip-2 may share their workers:"
        " results that can't be pickled pass between them while they do",
        "text-strip-2 and text-strip-3 stay apart: 'text-strip-3' has a timeout",
    ]

    assert invoke("show", file, *auto).stdout.splitlines()[-2:] == [f"# {sentence}" for sentence in told]
    assert json.loads(invoke("show", file, *auto, "--json").stdout)["fusion"] == told
    assert json.loads(invoke("show", file, "--json").stdout)["fusion"] == []


def test_a_sample_says_what_each_stage_costs_and_writes_nothing(invoke, chain, folder):
    page = invoke("show", chain("./parts.py:same", sink="out.txt"), "--sample", "3").stdout

    assert page.startswith("3 source records, in one process; nothing was written\n")
    assert "\nsame " in page
    assert "as it is written: ≈ " in page
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["chain.yaml", "parts.py"]


def test_a_sample_for_programs(invoke, chain):
    told = json.loads(invoke("show", chain("./parts.py:same"), "--sample", "3", "--json").stdout)

    assert told["sample"]["stages"][0]["taken"] == 3
    assert told["written"]["rate"] > 0


def test_failures_of_a_sample_are_shown_without_secrets(call, chain, monkeypatch):
    monkeypatch.setenv("SALT", "hunter2hunter2")
    ended = call("show", chain("{use: './parts.py:leaky', with: {key: '${secret:SALT}'}}"), "--sample", "9")

    assert ended.returncode == 0
    assert "leaky: 5 failures, the first: ValueError: the key is ***" in ended.stdout


@pytest.mark.parametrize("flags", [("--json",), ()])
def test_what_a_stage_prints_is_not_part_of_the_sample(call, chain, flags):
    ended = call("show", chain("./parts.py:chatty"), "--sample", "1", *flags)

    assert "seen 0" in ended.stderr
    assert "seen 0" not in ended.stdout


def test_showing_alone_loads_no_engine(call, chain):
    ended = call("show", chain("./parts.py:same"), env={"PYTHONPROFILEIMPORTTIME": "1"})

    assert "stagerunner.engines" not in ended.stderr
