from __future__ import annotations

import re
from pathlib import Path

import pytest

import stagerunner
from stagerunner.errors import UsageError

COPY = "version: 1\nstages: []\n"


async def coming():
    yield 1


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ("abc", "`records` is one record, a str: give a list of records, ['abc']"),
        (b"abc", "`records` is one record, a bytes: give a list of records, [b'abc']"),
        ({"a": 1}, "`records` is a mapping, which gives its keys"),
        (coming(), "`records` is an async iterator: give a plain one"),
        (5, "`records` is no iterable of records, but an int"),
        (print, "`records` is no iterable of records, but the function print"),
        (None, "this chain has no `source:`: give `run` its records"),
    ],
)
def test_what_gives_no_records_is_refused(records, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        stagerunner.load(COPY).run(records)


@pytest.mark.parametrize("records", [[], iter([]), (x for x in ()), range(0), {}.items()])
def test_no_records_are_records_too(records):
    assert list(stagerunner.load(COPY, engine="inline").run(records)) == []


class OldStyle:
    """Goes by its indexes alone, which Python takes for an iterable."""

    def __getitem__(self, index):
        return ["a", "b"][index]


def test_whatever_python_can_iterate_over_will_do():
    assert list(stagerunner.load(COPY, engine="inline").run(OldStyle())) == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"version: 1\n", "a config is a path, a text or a mapping, not a bytes"),
        (None, "not None"),
        (5, "not an int"),
        (stagerunner, "not a module"),
    ],
)
def test_what_is_no_config_is_refused(source, told):
    with pytest.raises(UsageError, match=told):
        stagerunner.load(source)
    with pytest.raises(UsageError, match=told):
        stagerunner.run(source)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"vars": "a=b"}, "`vars` is a mapping, as in {'NAME': value}, or a list of texts, not a str"),
        ({"vars": [1]}, "`vars` is a mapping"),
        ({"set": "run.window=8MiB"}, "`set` is a mapping, as in {'run.window': '8MiB'}"),
        ({"plugins": "./parts.py"}, "`plugins` is a list, as in plugins=['./my_stages.py'], not a str"),
        ({"plugins": Path("parts.py")}, "`plugins` is a list"),
        ({"plugins": [5]}, "a plugin is a text, a path, a module, or a function or class, not an int"),
        ({"engine": 5}, "`engine` is a text, not an int"),
        ({"only": ["a", "b"]}, "`only` is a text, not a list"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(given, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        stagerunner.load(COPY, **given)


@pytest.mark.parametrize("path", ["no/such.yaml", Path("no/such.yaml"), Path("line\nend.yaml"), "nul\0.yaml", Path()])
def test_a_path_that_leads_to_no_config_is_told_with_its_name(path):
    with pytest.raises(stagerunner.ConfigError):
        stagerunner.load(path)


@pytest.mark.parametrize("value", [8, None, 1.5, True, Path("x"), ["a"], {"a": 1}])
def test_values_of_any_plain_type_can_be_set_and_are_checked_where_they_stand(value):
    with pytest.raises(stagerunner.ConfigError, match=r"^set:1:"):
        stagerunner.load(COPY, set={"run.durability": value, "run.frame": "x"})
