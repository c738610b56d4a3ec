from __future__ import annotations

import pytest

EXAMPLE = """\
version: 1
vars: {day: "*"}
plugins: [./my_stages.py]
source: {use: lines, with: {path: "logs/access-${vars.day}.log.gz"}, on_error: dead_letter}
stages:
  - text.strip
  - use: parse
    with: {preset: combined}
    workers: 2
    on_error: dead_letter
  - use: anonymize
    name: hide-people
    with: {fields: [ip, user], salt: "${secret:LOG_SALT:-pepper}"}
    workers: 4
  - use: ./my_stages.py:enrich
    retry: {attempts: 3, delay: 200ms}
    timeout: 5s
sink: {use: jsonl, with: {path: out/clean.jsonl.gz}}
dead_letter: out/failed.jsonl
"""


def test_a_whole_config(config):
    found = config(EXAMPLE)
    assert [stage.name for stage in found.stages] == ["text-strip", "parse", "hide-people", "enrich"]
    assert [stage.settings.workers for stage in found.stages] == [1, 2, 4, 1]
    assert found.source.options.get("path").text == "logs/access-*.log.gz"
    assert found.source.settings.on_error == "dead_letter"
    assert (found.sinks[0].use.text, found.dead_letter.text) == ("jsonl", "out/failed.jsonl")
    assert [plugin.text for plugin in found.plugins] == ["./my_stages.py"]


def test_name_and_description(config):
    found = config("version: 1\nstages: []\nname: 404\ndescription: what it is")
    assert (found.name, found.description) == ("404", "what it is")


def test_null_is_the_same_as_leaving_out(config):
    found = config("version: 1\nstages: []\nsource:\nsink:\ndead_letter:\nplugins:\nvars:\ntests:\nrun:\n")
    assert (found.source, found.sinks, found.dead_letter, found.plugins) == (None, (), None, ())


def test_version_and_stages_are_required_at_the_mapping(wrong):
    assert wrong("name: a") == [
        "1:1 version: `version:` is missing | add `version: 1`",
        "1:1 stages: `stages:` is missing | add `stages:` and a list; `stages: []` copies",
    ]


@pytest.mark.parametrize("version", ["2", "'2'", "1.0", "one"])
def test_the_version_is_one(wrong, version):
    (mistake,) = wrong(f"version: {version}\nstages: []")
    assert mistake.startswith("1:10 version: version must be 1, not the ")


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("stage: []", "3:1 stage: unknown key 'stage' | did you mean 'stages'?"),
        ("plugins: a.py", "3:10 plugins: plugins must be a list, not the text 'a.py' | write [a.py]"),
        ("plugins: [a, [b]]", "3:14 plugins[1]: plugins[1] must be text, not a list"),
        ("vars: [a]", "3:7 vars: vars must be a mapping, not a list | write {NAME: VALUE, …}"),
        ("tests: []", "3:8 tests: tests have no effect yet | leave them out"),
        ("dead_letter: [a]", "3:14 dead_letter: dead_letter must be text, not a list"),
        ("name: [a]", "3:7 name: name must be text, not a list"),
        ("source: [[a]]", "3:10 source[0]: source[0] must be text or a mapping with `use:`, not a list"),
        ("source: []", "3:9 source: source is empty, so there is nothing to read | leave it out for standard input"),
    ],
)
def test_wrong_top_level_keys(wrong, line, mistake):
    assert wrong(f"version: 1\nstages: []\n{line}") == [mistake]


def test_stages_are_a_list(wrong):
    assert wrong("version: 1\nstages: a") == [
        "2:9 stages: stages must be a list, not the text 'a' | write `- use: NAME` for each; `stages: []` copies"
    ]


def test_dead_letters_need_a_place_to_go(wrong, config):
    text = "version: 1\nstages:\n- use: a\n  on_error: dead_letter"
    assert wrong(text) == [
        "4:3 stages[0].on_error: dead letters have nowhere to go: there is no `dead_letter:`"
        " | add `dead_letter: PATH` at the top level"
    ]
    assert config(text, sets=["dead_letter=d.jsonl"]).dead_letter.text == "d.jsonl"


def test_every_mistake_is_reported_in_order_of_lines(wrong):
    found = wrong("stages:\n- {use: a, wrkers: 2}\nnaem: x\nversion: 3\n")
    assert [mistake.split(" ")[0] for mistake in found] == ["2:12", "3:1", "4:10"]


# Parts


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
    assert (found.sinks[0].name, found.sinks[0].settings.on_error, found.sinks[0].path) == ("out", "skip", "sink")


def test_an_option_beside_use_is_a_mistake_that_says_where_it_belongs(wrong_stages):
    assert wrong_stages("- use: a\n  fields: [x]") == [
        "4:3 stages[0].fields: unknown key 'fields' | options stand under `with:`"
    ]
    assert wrong_stages("- use: a\n  worker: 2") == [
        "4:3 stages[0].worker: unknown key 'worker' | did you mean 'workers'?"
    ]


def test_a_key_that_may_be_a_setting_or_an_option_is_taken_for_both(wrong_stages):
    assert wrong_stages("- use: a\n  where: x > 1") == [
        "4:3 stages[0].where: unknown key 'where' | did you mean 'when'? options stand under `with:`"
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"), [("parallel", "workers"), ("params", "with"), ("retries", "retry"), ("if", "when")]
)
def test_a_word_of_another_tool_is_answered_with_ours(wrong_stages, theirs, ours):
    assert wrong_stages(f"- use: a\n  {theirs}: 2") == [
        f"4:3 stages[0].{theirs}: unknown key '{theirs}' | here it is `{ours}:`"
    ]


def test_the_words_of_other_tools_for_the_top_level(wrong):
    assert wrong("version: 1\nstages: []\ninput: a\noutput: b") == [
        "3:1 input: unknown key 'input' | here it is `source:`",
        "4:1 output: unknown key 'output' | here it is `sink:`",
    ]


@pytest.mark.parametrize(
    ("part", "fix"),
    [
        ("{type: jsonl, path: a}", "write `use: jsonl`, and its options under `with:`"),
        ("{path: a.csv}", "write `source: a.csv`, or add `use: NAME`, and `path` under `with:`"),
        ("{jsonl: {path: a}}", "write `use: jsonl`, and its options under `with:`"),
        ("{name: jsonl}", "add `use: NAME`; `name` is only what the chain calls it"),
        ("{on_error: skip}", "add `use: NAME`"),
    ],
)
def test_a_part_without_use_is_answered_with_what_was_meant(wrong, part, fix):
    found = wrong(f"version: 1\nstages: []\nsource: {part}")
    assert [mistake.partition(" | ")[2] for mistake in found] == [fix]


def test_the_ends_take_few_settings(wrong):
    assert wrong("version: 1\nstages: []\nsource: {use: lines, workers: 2}") == [
        "3:22 source.workers: unknown key 'workers' | "
        "it takes use, with, name, on_error, retry, when; options stand under `with:`"
    ]


def test_a_part_without_use(wrong_stages):
    assert wrong_stages("- workers: 2") == ["3:3 stages[0]: `use:` is missing | add `use: NAME`"]
    assert wrong_stages("- text.strip: {chars: x}") == [
        "3:3 stages[0]: `use:` is missing | write `use: text.strip`, and its options under `with:`"
    ]


def test_nodes_that_are_not_parts(wrong_stages):
    assert wrong_stages("- [a]\n- ''\n- null") == [
        "3:3 stages[0]: stages[0] must be text or a mapping with `use:`, not a list",
        "4:3 stages[1]: stages[1] must name something, but is empty",
        "5:3 stages[2]: stages[2] must be text, not nothing",
    ]


def test_no_name_stands_twice(wrong_stages):
    assert wrong_stages("- {use: a, name: x}\n- {use: b, name: x}") == [
        "4:18 stages[1].name: two stages are called 'x' | second one here"
    ]
