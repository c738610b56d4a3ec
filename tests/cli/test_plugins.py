from __future__ import annotations

import json


def test_every_plugin_says_what_it_adds(invoke):
    lines = invoke("plugins").stdout.splitlines()
    built_in = next(line for line in lines if line.startswith("stagerunner_parts"))
    assert "stages" in built_in
    assert "sources" in built_in


def test_json_names_the_parts_of_each(invoke):
    told = json.loads(invoke("plugins", "--json").stdout)
    built_in = next(one for one in told["plugins"] if one["name"] == "stagerunner_parts")
    assert "text.strip" in built_in["stages"]
    assert told["problems"] == []


def test_a_plugin_can_be_kept_out(invoke):
    assert json.loads(invoke("plugins", "-p", "no:stagerunner_parts", "--json").stdout)["plugins"] == []
