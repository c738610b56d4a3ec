from __future__ import annotations

import pytest


@pytest.fixture
def stages(config):
    return lambda text: config(f"version: 1\nstages: {text}").stages


@pytest.fixture
def wrong_stages(wrong):
    return lambda text: wrong(f"version: 1\nstages:\n{text}")


def test_a_stage_is_a_name_or_a_mapping(stages):
    bare, full = stages("[text.strip, {use: parse, with: {preset: x}, workers: 2, name: p}]")
    assert (bare.use.text, bare.name, bare.bare, bare.options, bare.path) == (
        *("text.strip", "text-strip", True, None, "stages[0]"),
    )
    assert (full.use.text, full.name, full.bare, full.path) == ("parse", "p", False, "stages[1]")
    assert full.options.get("preset").text == "x"


def test_the_settings_that_were_written_are_known_by_their_places(stages):
    (stage,) = stages("[{use: parse, with: {}, workers: 2, on_error: skip}]")
    assert {key: mark.column for key, mark in stage.given.items()} == {"workers": 33, "on_error": 45}


def test_an_empty_with_is_none(stages):
    assert stages("\n- use: a\n  with:\n")[0].options is None


def test_no_stages_are_allowed(stages):
    assert stages("[]") == ()


def test_a_source_and_a_sink_are_named_by_their_place(config):
    found = config("version: 1\nstages: []\nsource: logs/*.gz\nsink: {use: jsonl, name: out, on_error: skip}")
    assert (found.source.name, found.source.use.text, found.source.bare) == ("source", "logs/*.gz", True)
    assert (found.sink.name, found.sink.settings.on_error, found.sink.path) == ("out", "skip", "sink")


def test_an_option_beside_use_is_told_its_place(wrong_stages):
    assert wrong_stages("- use: a\n  fields: [x]") == [
        "4:3 stages[0].fields: unknown key 'fields' | options stand under `with:`"
    ]
    assert wrong_stages("- use: a\n  worker: 2") == [
        "4:3 stages[0].worker: unknown key 'worker' | did you mean 'workers'?"
    ]


def test_the_ends_take_few_settings(wrong):
    assert wrong("version: 1\nstages: []\nsource: {use: lines, workers: 2}") == [
        "3:22 source.workers: unknown key 'workers' | "
        "it takes use, with, name, on_error, retry; options stand under `with:`"
    ]


def test_a_part_without_use(wrong_stages):
    assert wrong_stages("- workers: 2") == ["3:3 stages[0]: `use:` is missing | add `use: NAME`"]
    assert wrong_stages("- text.strip: {chars: x}") == [
        "3:3 stages[0]: `use:` is missing | write `use: text.strip`, and its options under `with:`"
    ]


def test_what_is_no_part(wrong_stages):
    assert wrong_stages("- [a]\n- ''\n- null") == [
        "3:3 stages[0]: stages[0] must be text or a mapping with `use:`, not a list",
        "4:3 stages[1]: stages[1] must name something, and that is empty",
        "5:3 stages[2]: stages[2] must be text, not nothing",
    ]


def test_no_name_stands_twice(wrong_stages):
    assert wrong_stages("- {use: a, name: x}\n- {use: b, name: x}") == [
        "4:18 stages[1].name: two stages are called 'x' | second one here"
    ]
