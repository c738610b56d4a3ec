from __future__ import annotations

import datetime
import enum
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import pytest

from stagerunner.config.nodes import plain
from stagerunner.config.python_data import read_mapping
from stagerunner.config.read import read_config


class Word(enum.StrEnum):
    COPY = "copy"


class Numberlike:
    """As numpy has them."""

    def __index__(self):
        return 3


def told(data):
    return [(str(mistake.mark), mistake.message) for mistake in read_config(data).mistakes]


def test_data_becomes_the_nodes_that_yaml_would_make_of_it():
    data = {"version": 1, "name": Word.COPY, "stages": ({"use": "a"},), "run": {"frame": Numberlike(), "x": None}}
    root, mistakes = read_mapping(data)
    assert not mistakes
    assert plain(root) == {
        "version": 1,
        "name": "copy",
        "stages": [{"use": "a"}],
        "run": {"frame": 3, "x": None},
    }
    assert type(plain(root)["name"]) is str


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_any_mapping_will_do(kind):
    assert not read_config(kind({"version": 1, "stages": []})).mistakes


def test_mistakes_say_the_path_and_stand_in_order():
    same = {"use": "a"}
    stages = [same, same, {"use": "b", "workers": 0}, *[same] * 8, {"use": "c", "wrkers": 2}]
    assert told({"version": 1, "stages": stages, "run": {"frame": "x"}}) == [
        ("stages[2].workers", "workers must be at least 1"),
        ("stages[11].wrkers", "unknown key 'wrkers'"),
        ("run.frame", "frame must be a whole number, not the text 'x'"),
    ]
    assert told({}) == [("<mapping>", "`version:` is missing"), ("<mapping>", "`stages:` is missing")]


@pytest.mark.parametrize("value", [{1}, b"x", 1j, datetime.timedelta(1), object()])
def test_what_yaml_can_not_say_has_no_place(value):
    message = f"a value of type {type(value).__name__} can't be in a config"
    assert told({"version": 1, "stages": [], "description": value}) == [("description", message)]


def test_numbers_of_other_types_are_numbers():
    assert plain(read_mapping({"a": Fraction(1, 2)})[0]) == {"a": 0.5}


def test_keys_are_texts():
    assert ("1", "a key must be text, not 1 (int)") in told({"version": 1, "stages": [], 1: "x"})


def test_a_function_stands_where_a_part_does_and_nowhere_else():
    def shout(record):
        return record

    data = {"version": 1, "source": shout, "stages": [shout, {"use": shout}], "sink": {"use": shout}}
    config = read_config(data)
    assert not config.mistakes
    assert [part.use.given for part in (config.source, *config.stages, *config.sinks)] == [shout] * 4
    assert [stage.name for stage in config.stages] == ["shout", "shout-2"]
    message = "'shout' can't stand here: a function or class is a part, under `use`"
    assert told({"version": 1, "stages": [{"use": "a", "name": shout}]}) == [("stages[0].name", message)]


def test_data_without_an_end_is_a_mistake():
    data = {"version": 1, "stages": []}
    data["vars"] = data
    assert "a config is at most 64 levels deep" in [message for _, message in told(data)]
    assert "a config has at most 100,000 values" in [m for _, m in told(data | {"vars": {"x": [0] * 100_001}})]


def test_paths_stand_against_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read_config({"version": 1, "stages": [], "dead_letter": Path("failed.jsonl")})
    assert config.base_of(config.dead_letter.mark) / config.dead_letter.text == tmp_path / "failed.jsonl"


def test_variables_are_filled_in_as_in_a_file(monkeypatch):
    monkeypatch.setenv("KEY", "hunter2")
    stage = {"use": "a", "workers": "${vars.n}", "with": {"k": "${secret:KEY}"}}
    config = read_config({"version": 1, "vars": {"n": 2}, "stages": [stage]})
    assert (config.stages[0].settings.workers, config.secrets) == (2, ("hunter2",))
