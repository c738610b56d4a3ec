from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.errors import ConfigError, UsageError
from stagerunner.plan.preparing import Request, prepare, read

TEXT = "version: 1\nsource: {use: range, with: {stop: 3}}\nstages: [text.strip, text.upper]\nsink: {use: 'null'}\n"


def test_a_text_becomes_config_catalog_and_plan():
    prepared = prepare(TEXT)
    assert [stage.name for stage in prepared.plan.stages] == ["text-strip", "text-upper"]
    assert prepared.config.source is not None
    assert ("stage", "text.strip") in prepared.catalog.parts


def test_what_the_call_says_stands_over_the_file():
    plan = prepare(
        TEXT, Request(limit=2, engine="inline", only="text-upper", sets=["stages.text-upper.workers=3"])
    ).plan
    assert (plan.limit, plan.run.engine) == (2, "inline")
    assert [(stage.name, stage.settings.workers) for stage in plan.stages] == [("text-upper", 3)]


@pytest.mark.parametrize(("sink", "given"), [("{use: 'null'}", "out.csv"), ("out.csv", None)])
def test_a_path_keeps_its_part_when_something_is_set_beside_it(sink, given):
    sets = ["sink.on_error=skip", "sink.with.mode=new"]
    (planned,) = prepare(TEXT.replace("{use: 'null'}", sink), Request(sink=given, sets=sets)).plan.sinks
    assert (planned.use, planned.settings.on_error) == ("csv", "skip")
    assert (planned.options["path"].name, planned.options["mode"]) == ("out.csv", "new")


def test_a_plugin_of_the_call_stands_against_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from stagerunner import stage\n\n@stage\ndef loud(text: str) -> str:\n    return text\n"
    )
    _, catalog = read(TEXT, Request(plugins=["./mine.py"]))
    assert ("stage", "loud") in catalog.parts


def test_a_plugin_can_be_kept_out():
    with pytest.raises(ConfigError, match=r"no stage is called 'text\.strip'"):
        prepare(TEXT, Request(plugins=["no:stagerunner"]))


def test_mistakes_are_raised_together_and_a_negative_limit_separately():
    with pytest.raises(ConfigError) as caught:
        prepare(TEXT.replace("text.strip", "text.strp").replace("version: 1", "version: 2"))
    assert len(caught.value.mistakes) == 2
    with pytest.raises(UsageError):
        prepare(TEXT, Request(limit=-1))
