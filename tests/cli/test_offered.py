from __future__ import annotations

import pytest

import stagerunner.cli.offered as offered
from stagerunner.catalog import load_catalog
from stagerunner.errors import UsageError

PLUGIN = """
import click
from stagerunner import hookimpl
from stagerunner.hookspecs import CommandSpec

@click.command()
def hello():
    click.echo("hello")

@hookimpl
def stagerunner_commands():
    return [CommandSpec("hello", __name__ + ":hello"), CommandSpec("text", __name__ + ":PLAIN")]

PLAIN = "no command"
"""


@pytest.fixture
def _plugin(write, folder, monkeypatch):
    write("greeting.py", PLUGIN)
    catalog = load_catalog(plugins=[("./greeting.py", None, folder)])
    monkeypatch.setattr(offered, "load_catalog", lambda: catalog)


@pytest.mark.usefixtures("_plugin")
def test_a_plugins_command_is_found_by_name(invoke):
    assert invoke("hello").stdout == "hello\n"


@pytest.mark.usefixtures("_plugin")
def test_what_is_no_command_is_refused():
    with pytest.raises(UsageError, match="is no click command"):
        offered.offered_command("text")


def test_an_unknown_one_is_refused():
    with pytest.raises(UsageError, match="there is no command 'zzz'"):
        offered.offered_command("zzz")
