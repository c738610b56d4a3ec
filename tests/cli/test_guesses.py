from __future__ import annotations

import re

import pytest

from stagerunner.cli import VERBS, guesses, load_command
from stagerunner.cli.entry import main
from stagerunner.cli.guesses import command_meant, option_meant


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("shop.yaml", "`stagerunner run shop.yaml` runs that file"),
        ("validate", "here it is `stagerunner check FILE`"),
        ("chekc", "did you mean 'check'?"),
        ("frobnicate", "`stagerunner --help` lists the commands"),
    ],
)
def test_a_command_that_does_not_exist(typed, answer):
    assert command_meant(typed, VERBS) == answer


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("--workers", "here it is `--set stages.NAME.workers=N`"),
        ("--output", "here it is `-o`"),
        ("--sinks", "did you mean '--sink'?"),
        ("--xyzzy", ""),
    ],
)
def test_an_option_that_does_not_exist(typed, answer):
    assert option_meant(typed, ["--sink", "--force-resume", "-o"]) == answer


def test_what_the_guesses_name_exists():
    named = re.findall(r"`stagerunner (\w+)", "".join(guesses._COMMANDS))
    assert set(named) <= set(VERBS)
    options = {option for parameter in load_command("run").params for option in parameter.opts}
    assert {name.split()[0].strip("`") for name in guesses._OPTIONS} - options == {"FILE,"}
    theirs = {word for words in guesses._OPTIONS.values() for word in words}
    assert not theirs & options


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("run a.yaml --workers 4", "there is no option --workers; here it is `--set stages.NAME.workers=N`"),
        ("stages filter", "'filter' is none of its commands; write `stagerunner stages [show NAME]`"),
        ("run a.yaml -n ten", "'ten' is not a valid whole number"),
    ],
)
def test_a_wrong_call_says_what_to_type(call, message, capsys):
    assert main(call.split()) == 2
    assert message in capsys.readouterr().err
