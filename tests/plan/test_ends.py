from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.catalog import load_catalog
from stagerunner.errors import ConfigError
from stagerunner.plan import make_plan


def mistake(planned, **ends):
    with pytest.raises(ConfigError) as caught:
        planned(**ends)
    [mistake] = caught.value.mistakes
    return mistake


def test_a_source_with_options_in_full(planned):
    source = planned(source={"use": "ticks", "with": {"every": 3}, "on_error": "skip"}).source
    assert (source.use, source.options, source.settings.on_error) == ("ticks", {"every": 3}, "skip")
    assert source.provider == "./parts.py"


def test_a_source_out_of_reach_is_a_mistake_at_its_path(planned):
    wrong = mistake(planned, source={"use": "lines", "with": {"path": "gone.txt"}})
    assert (wrong.code, wrong.message, wrong.mark.line) == ("source-check", "there is no file gone.txt", 2)


def test_a_bare_word_may_have_been_meant_as_a_name(planned):
    assert mistake(planned, source="tiks").fix == "did you mean 'ticks'?"


def test_a_sink_out_of_reach_is_a_mistake(planned):
    wrong = mistake(planned, sink="no/out.txt")
    assert (wrong.code, wrong.message, wrong.mark.line) == ("sink-check", "there is no such folder", 8)


def test_a_class_of_another_form_is_neither_source_nor_sink(planned, folder):
    (folder / "my.py").write_text("class Empty: ...\ndef plain(): ...\n")
    assert "has no splits and no read and no identity" in mistake(planned, source={"use": "./my.py:Empty"}).message
    assert "a source is a class with splits" in mistake(planned, source="./my.py:plain").message
    assert "class Empty has no encode" in mistake(planned, sink="./my.py:Empty").message


def test_an_undecorated_generator_is_a_source_and_its_arguments_are_options(planned, folder):
    (folder / "my.py").write_text("def count(start: int, step: int = 1):\n    yield start\n")
    source = planned(source={"use": "./my.py:count", "with": {"start": 4}}).source
    assert source.options == {"start": 4}


def test_an_error_of_the_plugins_own_says_where(planned, folder):
    text = (folder / "parts.py").read_text()
    (folder / "my.py").write_text(text.replace("raise FileNotFoundError(", "1 / 0, ("))
    wrong = mistake(planned, source={"use": "./my.py:Lines", "with": {"path": "gone.txt"}})
    assert wrong.message.startswith("ZeroDivisionError: ")
    assert "my.py:" in wrong.message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("in.jsonl", "jsonl"),
        ("in.jsonl.gz", "jsonl"),
        ("in.txt", "lines"),
        ("in.txt.xz", "lines"),
        ("in", "lines"),
        ("logs/*.jsonl.bz2", "jsonl"),
        ("./jsonl", "lines"),
        ("IN.JSONL", "jsonl"),
        ("In.Jsonl.GZ", "jsonl"),
    ],
)
def test_a_path_chooses_its_part_by_suffix(planned, folder, text, name):
    (folder / "logs").mkdir()
    if "*" not in text:
        (folder / text).write_text("")
    source = planned(source=text).source
    assert (source.use, source.options) == (name, {"path": folder / text})
    assert source.shown == {"path": text}


def test_a_bare_name_is_that_part(planned):
    assert planned(source="ticks").source.part.name == "ticks"


@pytest.mark.parametrize("source", ["-", None])
def test_without_a_source_standard_input_is_read_by_lines(planned, source):
    planned_source = planned(source=source).source
    assert (planned_source.use, planned_source.options) == ("lines", {"path": Path("-")})


@pytest.mark.parametrize("sink", ["-", "stdout", None])
def test_without_a_sink_results_go_to_standard_output(planned, sink):
    planned_sink = planned(sink=sink).sinks[0]
    assert (planned_sink.use, planned_sink.options) == ("stdout", {})


def test_an_address_is_not_a_path(planned):
    assert planned(source="./parts.py:ticks").source.use == "./parts.py:ticks"


def test_a_suffix_that_two_parts_take_is_a_mistake(config, folder):
    (folder / "more.py").write_text(
        "from stagerunner import source\n@source(suffixes=('.jsonl',))\ndef other():\n    yield 1\n"
    )
    catalog = load_catalog(plugins=[(f"{name}.py", None, folder) for name in ("parts", "more")], installed=False)
    with pytest.raises(ConfigError, match=r"chain.yaml:2:5: 'in.jsonl' could be jsonl or other"):
        make_plan(config(source="in.jsonl"), catalog)
