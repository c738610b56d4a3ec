from __future__ import annotations

import pytest

from stagerunner.cli import VERBS, loaded
from stagerunner.errors import UsageError


def test_the_front_page_has_every_verb_under_its_heading(invoke):
    page = invoke("--help").stdout
    assert [line for line in page.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        *dict.fromkeys(f"{verb.section}:" for verb in VERBS.values()),
        "Examples:",
        "Options:",
    ]
    assert all(verb.summary in page for verb in VERBS.values())


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_leads_to_a_command_with_a_help_page(invoke, name):
    assert loaded(VERBS[name].target).name in (name, "command")
    assert invoke(name, "-h").stdout.startswith(f"Usage: stagerunner {name}")


def test_a_misspelt_verb_is_answered_with_the_nearest(invoke):
    error = invoke("rnu").exception
    assert isinstance(error, UsageError)
    assert str(error) == "there is no command 'rnu'; did you mean 'run'?"


def test_the_version_is_one_line(invoke):
    assert invoke("--version").stdout.startswith("stagerunner 0.")
