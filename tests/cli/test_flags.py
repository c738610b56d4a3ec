from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from stagerunner.api import Request
from stagerunner.cli import flags
from stagerunner.cli.entry import program
from stagerunner.cli.streams import Streams


@click.command(cls=flags.Command)
@click.argument("file")
@flags.flag("First", "--one", help="The first.")
@flags.change_flags
@flags.verbose
@flags.log_format
@flags.color
@click.pass_context
def command(ctx, file, **given):
    print("what is printed here is no data")
    HEARD[:] = [given, public(ctx.obj)]


HEARD: list[dict] = []


def public(streams: Streams) -> dict:
    return {name: value for name, value in vars(streams).items() if not name.startswith("_")}


def run(*arguments: str) -> list[dict]:
    result = CliRunner().invoke(command, ["x", *arguments], obj=Streams())
    assert (result.exit_code, result.stdout) == (0, "")
    return HEARD


def test_options_stand_under_their_headings():
    page = CliRunner().invoke(command, ["--help"]).stdout
    headings = [line for line in page.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["First:", f"{flags.CHANGED}:", f"{flags.SHOWN}:", "Options:"]


def test_how_to_talk_is_kept_in_the_streams():
    _, streams = run("-v", "--log-format", "json", "--color", "never")
    assert (streams["verbose"], streams["json"], streams["color"]) == (True, True, "never")


def test_without_flags_the_streams_stay_as_they_were():
    assert run()[1] == public(Streams())


def test_flags_become_a_request():
    given, _ = run("--var", "a=1", "--var", "b=2", "--set", "run.frame=1", "-p", "no:x", "--one", "1")
    assert flags.request_of(given) == Request(vars=("a=1", "b=2"), sets=("run.frame=1",), plugins=("no:x",))


@pytest.mark.parametrize("command", [["memo", "show"], ["stages", "show"], ["stages"], ["run"]])
def test_a_help_page_is_on_standard_output(capfd, command):
    with pytest.raises(SystemExit):
        program.main([*command, "--help"])
    out, err = capfd.readouterr()
    assert out.startswith("Usage: ")
    assert not err
