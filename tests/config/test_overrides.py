from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.config.nodes import plain

BASE = "version: 1\nvars: {day: mon, dir: x}\nsource: in.txt\nstages: [{use: parse, with: {day: '${vars.day}'}}]\n"


def test_set_puts_yaml_at_a_path(config):
    found = config(BASE, sets=["stages.parse.workers=4", "stages.0.with.list=[1, {a: NO}]", "run.frame=10"])
    assert found.stages[0].settings.workers == 4
    assert plain(found.stages[0].options)["list"] == [1, {"a": "NO"}]
    assert found.run.frame == 10


def test_a_value_set_may_have_equals_signs_and_variables(config):
    found = config(BASE, sets=["source.with.q=a=${vars.day}"])
    assert found.source.options.get("q").text == "a=mon"


def test_nothing_behind_the_equals_sign_is_null(config):
    assert config(BASE, sets=["source="]).source is None


def test_var_gives_a_declared_variable(config):
    assert config(BASE, vars=["day=tue"]).stages[0].options.get("day").text == "tue"


def test_plain_data_from_python(config):
    found = config(BASE, vars={"day": "tue"}, sets={"stages.parse.workers": 4, "stages.0.with.list": (1, Path("a"))})
    assert found.stages[0].settings.workers == 4
    assert plain(found.stages[0].options) == {"day": "tue", "list": [1, "a"]}


def test_i_and_o_replace_source_and_sink(config):
    found = config(BASE, source_override="other/*.gz", sink_override="-")
    assert (found.source.use.text, found.source.bare, found.source.mark.file) == ("other/*.gz", True, "-i")
    assert (found.sink.use.text, found.sink.mark.file) == ("-", "-o")


def test_i_may_name_a_part_with_options(config):
    found = config(BASE, source_override="pkg.mod:rows:path=a b.csv,sep=';',fields=[a,b],n=3")
    assert found.source.use.text == "pkg.mod:rows"
    assert plain(found.source.options) == {"path": "a b.csv", "sep": ";", "fields": ["a", "b"], "n": 3}
    mark = found.source.options.get("sep").mark
    assert mark.text[mark.column - 1 :].startswith("';',fields")


@pytest.mark.parametrize("argument", ["./a.py:rows", "a=b.txt", "s3://bucket/x?y=1", "lines"])
def test_anything_else_is_the_source_as_it_is(config, argument):
    assert config(BASE, source_override=argument).source.use.text == argument


def test_marks_show_the_whole_argument(config):
    (stage,) = config(BASE, sets=["stages.parse.workers=4"]).stages
    mark = stage.given["workers"]
    assert (mark.file, mark.line, mark.column, mark.text) == ("--set", 1, 1, "stages.parse.workers=4")


def test_what_comes_from_the_command_line_stands_against_the_current_folder(config):
    found = config(BASE, sets=["source.with.path=a"])
    assert found.base_of(found.source.options.get("path").mark) == Path.cwd()


@pytest.mark.parametrize(
    ("over", "mistake"),
    [
        ({"sets": ["a"]}, "1:1 : --set wants NAME=VALUE | write --set NAME=VALUE"),
        ({"sets": ["=a"]}, "1:1 : --set wants NAME=VALUE | write --set NAME=VALUE"),
        ({"sets": ["source=*.gz"]}, '1:8 : a value that starts with `*` must be quoted | write "*.gz"'),
        (
            {"sets": ["stages.prase.workers=1"]},
            "1:1 stages.prase.workers: no stage is called 'prase' | did you mean 'parse'?",
        ),
        (
            {"sets": ["stages.parse.workers=x"]},
            "1:22 stages[0].workers: workers must be a whole number, not the text 'x'",
        ),
        (
            {"sets": ["stages.parse.wrokers=1"]},
            "1:1 stages[0].wrokers: unknown key 'wrokers' | did you mean 'workers'?",
        ),
        ({"sets": {"run.frame": "x"}}, "1:11 run.frame: frame must be a whole number, not the text 'x'"),
        ({"sets": {"run.frame": object}}, "1:1 : 'run.frame' can't be set: type has no place in a config"),
        ({"vars": ["dya=1"]}, "1:1 vars.dya: the file has no variable 'dya' | did you mean 'day'?"),
        (
            {"vars": {"q": 1}},
            "1:1 vars.q: the file has no variable 'q' | only what the file's `vars:` declares can be given",
        ),
        ({"source_override": "x:a=1,a=2"}, "1:7 : key 'a' given twice | second one here"),
        ({"source_override": ""}, "1:1 source: source must name something, and that is empty"),
    ],
)
def test_wrong_overrides(wrong, over, mistake):
    assert wrong(BASE, **over) == [mistake]


def test_data_that_contains_itself_is_a_mistake(wrong):
    endless: list[object] = []
    endless.append(endless)
    assert "nested too deep" in wrong(BASE, sets={"run.frame": endless})[0]


def test_huge_numbers_from_python_are_a_mistake(wrong):
    assert "can't be set" in wrong(BASE, sets={"run.frame": 10**5000})[0]
