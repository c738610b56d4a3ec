from __future__ import annotations

import pytest

from stagerunner.catalog import load_catalog
from stagerunner.config.model import Run
from stagerunner.config.nodes import from_plain
from stagerunner.errors import ConfigError
from stagerunner.plan import make_plan

CARDS = from_plain({"gpu": 1}, None)


@pytest.mark.parametrize(
    ("use", "setting", "value", "message"),
    [
        ("tally", "workers", 2, "a stage with state has one worker"),
        ("latest", "workers", 2, "a stage with state has one worker"),
        ("shout", "batch", 10, "`batch` is for batch transforms"),
        ("shout", "concurrency", 4, "`concurrency` is for async stages"),
        ("shout", "max_errors", 4, "`max_errors` is for `on_error: skip` or `dead_letter`"),
        ("shout", "resources", CARDS, "the engine 'process' knows no resources"),
    ],
)
def test_a_setting_that_means_nothing_here(planned, use, setting, value, message):
    with pytest.raises(ConfigError) as caught:
        planned({"use": use, setting: value})
    [mistake] = caught.value.mistakes
    assert message in mistake.message
    assert (mistake.mark.text, mistake.path) == (setting, f"stages[0].{setting}")


@pytest.mark.parametrize(
    "stage",
    [
        {"use": "tally", "workers": 1},
        {"use": "pairs", "batch": 10, "workers": 2},
        {"use": "ask", "concurrency": 4, "rate": 4.0},
        {"use": "pairs", "rate": 4.0},
        {"use": "shout", "max_errors": 4, "on_error": "skip"},
        {"use": "shout", "timeout": 1.0, "max_memory": 2**30, "env": (("A", "1"),)},
    ],
)
def test_a_setting_that_means_something(planned, stage):
    assert planned(stage)


def test_resources_are_for_engines_that_know_them(config, folder):
    (folder / "engines.py").write_text(
        "from stagerunner import hookimpl\nfrom stagerunner.hookspecs import EngineSpec\n"
        "@hookimpl\ndef stagerunner_engines(): return [EngineSpec('ray', 'x:Y', resources=True)]\n"
    )
    plugins = [(f"./{name}.py", None, folder) for name in ("parts", "engines")]
    catalog = load_catalog(plugins=plugins, installed=False)
    plan = make_plan(config({"use": "shout", "resources": CARDS}, run=Run(engine="ray")), catalog)
    assert plan.stages[0].settings.resources is CARDS
