import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import stagerunner_parts
from stagerunner import load
from stagerunner.config.options import options_of
from stagerunner.errors import ConfigError
from stagerunner.parts.base import first_sentence, part_of
from stagerunner.parts.forming import form_of
from stagerunner.parts.sink import check_sink
from stagerunner.parts.source import is_stream

OFFERED = [
    *(("stage", part) for part in stagerunner_parts.stagerunner_stages()),
    *(("source", part) for part in stagerunner_parts.stagerunner_sources()),
    *(("sink", part) for part in stagerunner_parts.stagerunner_sinks()),
]


def found(part):
    module, _, name = part.target.partition(":")
    return getattr(import_module(module), name)


@pytest.mark.parametrize(("kind", "part"), OFFERED, ids=lambda value: getattr(value, "name", value))
def test_a_part_is_what_its_name_says(kind, part):
    decorated = part_of(found(part))
    assert decorated is not None
    assert (decorated.kind, decorated.name, decorated.suffixes) == (kind, part.name, part.suffixes)
    assert decorated.target == part.target
    assert first_sentence(found(part)) == part.summary


@pytest.mark.parametrize(("kind", "part"), OFFERED, ids=lambda value: getattr(value, "name", value))
def test_a_part_has_the_form_of_its_kind(kind, part):
    if kind == "stage":
        form_of(found(part))
    elif kind == "source":
        assert is_stream(found(part)) == (part.name == "tail")
    else:
        check_sink(found(part))


@pytest.mark.parametrize(("kind", "part"), OFFERED, ids=lambda value: getattr(value, "name", value))
def test_every_option_is_explained_on_one_line(kind, part):
    lines = (inspect.getdoc(found(part)) or "").splitlines()
    for option in options_of(found(part)):
        (line,) = [line for line in lines if line.startswith(f"{option.name}: ")]
        assert line.endswith(".")


def test_listing_the_parts_imports_none_of_them():
    code = "import sys, stagerunner_parts as p; p.stagerunner_stages(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert not {"msgspec", "yaml", "pluggy", "click", "rich", "csv"} & modules
    assert not [name for name in modules if name.startswith("stagerunner_parts.")]


def test_names_are_given_once():
    names = [(kind, part.name) for kind, part in OFFERED]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("stage", "why"),
    [
        ("{use: group, with: {by: a, fields: {a: count}}}", "two fields of the result would be called 'a'"),
        ("{use: count, with: {by: count}}", "`by` can't be 'count'"),
        ("{use: text.replace, with: {old: '(', new: x, regex: true}}", "`old` is not a regular expression"),
        ("{use: exec, with: {command: cat, max_output: 0}}", "`max_output` is 0"),
    ],
)
def test_options_that_do_not_fit_together_are_a_mistake_in_the_plan(stage, why):
    with pytest.raises(ConfigError) as caught:
        load(f"version: 1\nstages: [{stage}]\n")
    [mistake] = caught.value.mistakes
    assert (mistake.code, mistake.path) == ("stage-check", "stages[0].with")
    assert why in mistake.message
