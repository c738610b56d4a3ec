from __future__ import annotations

from pathlib import Path

import pytest

from stagerunner.config.nodes import Scalar, plain
from stagerunner.config.overrides import NoSuchPath, put
from stagerunner.errors import Mark

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
    assert (found.sinks[0].use.text, found.sinks[0].mark.file) == ("-", "-o")


def test_set_changes_the_sink_that_o_names(config):
    (sink,) = config(BASE, sets=["sink.on_error=skip"], sink_override="csv:path=other.csv").sinks
    assert (sink.use.text, sink.settings.on_error) == ("csv", "skip")
    (sink,) = config(BASE, sets=["sink.on_error=skip"], sink_override="other.csv").sinks
    assert (sink.use.text, sink.settings.on_error) == ("other.csv", "skip")


@pytest.mark.parametrize("value", ["-", "*.gz"])
def test_standard_input_and_globs_need_no_quotes(config, value):
    assert plain(config(BASE, source_override=f"jsonl:path={value},n=1").source.options) == {"path": value, "n": 1}
    assert config(BASE, sets=[f"source={value}"]).source.use.text == value


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
        ({"sets": {"run.frame": object}}, "1:1 : 'run.frame' can't be set: type can't be in a config"),
        ({"vars": ["dya=1"]}, "1:1 vars.dya: the file has no variable 'dya' | did you mean 'day'?"),
        (
            {"vars": {"q": 1}},
            "1:1 vars.q: the file has no variable 'q' | only what the file's `vars:` declares can be given",
        ),
        ({"source_override": "x:a=1,a=2"}, "1:7 : key 'a' given twice | second one here"),
        ({"source_override": ""}, "1:1 source: source must name something, but is empty"),
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


@pytest.fixture
def changed(root):
    """The plain data of a text after `path` was set to 9."""
    place = Mark("--set")
    return lambda text, path: plain(put(root(text), Scalar(path, path, place), Scalar("9", 9, place)))


@pytest.mark.parametrize(
    ("text", "path", "result"),
    [
        ("a: 1", "a", {"a": 9}),
        ("a: 1", "b", {"a": 1, "b": 9}),
        ("run: {frame: 1, fuse: off}", "run.frame", {"run": {"frame": 9, "fuse": "off"}}),
        ("a: 1", "run.frame", {"a": 1, "run": {"frame": 9}}),
        ("run:", "run.frame", {"run": {"frame": 9}}),
        ("stages: [{use: a, with: {x: 1}}]", "stages.a.with.x", {"stages": [{"use": "a", "with": {"x": 9}}]}),
        ("stages: [{use: a, name: b}]", "stages.b.workers", {"stages": [{"use": "a", "name": "b", "workers": 9}]}),
        ("stages: [a, a]", "stages.1.workers", {"stages": ["a", {"use": "a", "workers": 9}]}),
        ("stages: [a, a]", "stages.a-2.workers", {"stages": ["a", {"use": "a", "workers": 9}]}),
        ("stages: [a]", "stages.0", {"stages": [9]}),
        ("source: x", "source.with.path", {"source": {"use": "x", "with": {"path": 9}}}),
        ("a: {b: [[1, 2], 3]}", "a.b.0.1", {"a": {"b": [[1, 9], 3]}}),
    ],
)
def test_the_value_stands_at_the_path(changed, text, path, result):
    assert changed(text, path) == result


@pytest.mark.parametrize(
    ("text", "path", "message", "fix"),
    [
        ("stages: [parse]", "stages.prase.workers", "no stage is called 'prase'", "did you mean 'parse'?"),
        ("stages: [parse]", "stages.zzz.workers", "no stage is called 'zzz'", "the stages are parse"),
        ("stages: [parse]", "stages.1.workers", "'stages' has no item 1", "its items are 0 to 0"),
        ("stages: []", "stages.0.workers", "'stages' has no item 0", "it is empty"),
        ("run: {frame: 1}", "run.frame.x", "'run.frame' is the number 1: there is nothing inside", ""),
        ("a: 1", "a..b", "'a..b' isn't a path", "write names with dots between them: run.frame"),
        ("a: 1", ".".join("a" * 100), f"'{'a.' * 19}a…' isn't a path", "write names with dots between them: run.frame"),
    ],
)
def test_a_path_that_leads_nowhere(changed, text, path, message, fix):
    with pytest.raises(NoSuchPath) as error:
        changed(text, path)
    assert (str(error.value), error.value.fix) == (message, fix)
