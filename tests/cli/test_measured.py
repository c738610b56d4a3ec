from __future__ import annotations

import json

import pytest


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


def test_failures_of_a_sample_are_told_without_secrets(call, chain, monkeypatch):
    monkeypatch.setenv("SALT", "hunter2hunter2")
    ended = call("show", chain("{use: './parts.py:leaky', with: {key: '${secret:SALT}'}}"), "--sample", "9")

    assert ended.returncode == 0
    assert "leaky: 5 failures, the first: ValueError: the key is ***" in ended.stdout


@pytest.mark.parametrize("flags", [("--json",), ()])
def test_what_a_stage_prints_is_no_part_of_the_sample(call, chain, flags):
    ended = call("show", chain("./parts.py:chatty"), "--sample", "1", *flags)

    assert "seen 0" in ended.stderr
    assert "seen 0" not in ended.stdout


def test_showing_alone_loads_no_engine(call, chain):
    ended = call("show", chain("./parts.py:same"), env={"PYTHONPROFILEIMPORTTIME": "1"})

    assert "stagerunner.engines" not in ended.stderr
