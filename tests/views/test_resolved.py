from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from stagerunner.api import Request, prepare
from stagerunner.config import quantities as readers
from stagerunner.config.model import Retry
from stagerunner.views.resolved import Leaf, origins, resolved, size, values_of, written, yaml_lines, yaml_scalar


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Plain values and origins of a chain, in the folder of its file."""

    def show(text: str, **request: object) -> tuple[dict, dict]:
        monkeypatch.chdir(tmp_path)
        Path("a.jsonl").write_text("")
        Path("c.yaml").write_text(dedent(text))
        chain = prepare(Path("c.yaml"), Request(**request))
        tree = resolved(chain.config, chain.plan)
        return values_of(tree), origins(tree)

    return show


CHAIN = """\
    version: 1
    vars: {n: 3}
    source: a.jsonl
    stages:
      - text.strip
      - use: anonymize
        name: hide
        workers: 2
        with: {fields: [ip], salt: "${secret:SALT:-pepper}"}
    """


def test_every_value_has_its_origin(show):
    values, where = show(CHAIN, sets=["stages.hide.workers=5"])
    assert values["stages"][1]["workers"] == 5
    assert where["stages[1].workers"] == "--set"
    assert where["stages[1].name"] == "c.yaml:7"
    assert where["stages[0].workers"] == "default"


def test_a_bare_path_shows_the_part_it_chose(show):
    values, where = show(CHAIN)
    assert (values["source"]["use"], values["source"]["with"]["path"]) == ("jsonl", "a.jsonl")
    assert where["source.use"].startswith("c.yaml:3")


def test_an_end_that_is_left_out_is_a_default(show):
    values, where = show(CHAIN)
    assert (values["sink"]["use"], where["sink.use"]) == ("stdout", "default")


def test_options_left_out_show_their_defaults(show):
    values, where = show(CHAIN)
    assert (values["stages"][1]["with"]["method"], where["stages[1].with.method"]) == ("hash", "default")


def test_secrets_are_masked_and_say_what_they_were_written_as(show):
    values, where = show(CHAIN)
    assert values["stages"][1]["with"]["salt"] == "***"
    assert where["stages[1].with.salt"] == "c.yaml:9, from ${secret:SALT:-pepper}"


def test_what_the_environment_says_is_masked_too(show, monkeypatch):
    monkeypatch.setenv("INPUT", "a.jsonl")
    values, _ = show('version: 1\nsource: {use: jsonl, with: {path: "${env:INPUT}"}}\nstages: []\n')
    assert values["source"]["with"]["path"] == "***"


def test_the_engine_of_the_command_line_wins(show):
    values, where = show(CHAIN, engine="inline")
    assert (values["run"]["engine"], where["run.engine"]) == ("inline", "--engine")


# Quantities


@pytest.mark.parametrize(("seconds", "text"), [(0.05, "50ms"), (60.0, "60s"), (0.0, "0s"), (1.5, "1.5s")])
def test_durations_read_back_to_what_they_were(seconds: float, text: str):
    assert written("timeout", seconds) == text
    assert readers.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(("number", "text"), [(64 * 2**20, "64MiB"), (1000, "1000B"), (0, "0B"), (2**30, "1GiB")])
def test_sizes_read_back_to_what_they_were(number: int, text: str):
    assert size(number) == text
    assert readers.size(text) == number


def test_other_settings_stay_what_they_are():
    assert (written("workers", 3), written("on_error", "skip"), written("retry", Retry(attempts=2))) == (3, "skip", 2)


TREE = {
    "version": Leaf(1, "c.yaml:1"),
    "stages": [
        {"use": Leaf("parse", "c.yaml:3"), "with": {"fields": [Leaf("ip", "c.yaml:4"), Leaf("user", "c.yaml:4")]}},
        {"use": Leaf("x", "c.yaml:5"), "pairs": [Leaf(1, "a"), Leaf(2, "b")], "env": {}},
    ],
}


def test_each_value_stands_on_a_line_with_its_origin():
    assert yaml_lines(TREE)[:5] == [
        ("version: 1", "c.yaml:1"),
        ("stages:", ""),
        ("  - use: parse", "c.yaml:3"),
        ("    with:", ""),
        ("      fields: [ip, user]", "c.yaml:4"),
    ]


def test_what_is_printed_is_yaml_that_says_the_same():
    text = "\n".join(line for line, _ in yaml_lines(TREE))
    assert yaml.safe_load(text) == values_of(TREE)


@pytest.mark.parametrize("text", ["*", "a: b", "", "12", "1.5", "true", "null", "#x", "- a", "it's", "60s", "a/b.txt"])
def test_text_stays_text(text: str):
    assert yaml.safe_load(yaml_scalar(text)) == text


def test_origins_go_by_path():
    assert origins(TREE)["stages[0].with.fields[1]"] == "c.yaml:4"
