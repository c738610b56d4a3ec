"""`stagerunner check FILE…`: find mistakes in chains without running them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from stagerunner.cli import flags
from stagerunner.cli.flags import Command, flag
from stagerunner.cli.streams import Streams
from stagerunner.config.diagnostics import render
from stagerunner.errors import ConfigError, Mark, Mistake, UsageError
from stagerunner.plan.engine_check import made_engine, placed, problems_of
from stagerunner.plan.engines import BUILT_IN
from stagerunner.plan.preparing import Request, prepare
from stagerunner.views.console import Console
from stagerunner.views.errors import mistake_github, mistake_json
from stagerunner.views.figures import plural


class Checked(Struct, frozen=True):
    """The result of checking one file."""

    file: str
    mistakes: tuple[Mistake, ...] = ()
    notes: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "ok": not self.mistakes,
            "mistakes": [mistake_json(mistake) for mistake in self.mistakes],
            "notes": list(self.notes),
        }


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=flags.FILE)
@flag("Options", "--json", "as_json", is_flag=True, help="The same as --format json.")
@flag(
    "Options",
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="Output format.",
)
@flags.change_flags
@flags.output_flags
@click.pass_obj
def command(streams: Streams, /, files: tuple[str, ...], as_json: bool, form: str, **given: Any) -> int:
    """Find mistakes in the chains in FILE… without starting anything. Exit code 2 if there are any."""
    request = flags.request_of(given)
    checked = [_check(file, request, streams) for file in files]
    form = "json" if as_json else form
    if form == "json":
        out = streams.out()
        out.line(out.json([one.data() for one in checked]))
    elif form == "github":
        for mistake in (mistake for one in checked for mistake in one.mistakes):
            streams.out().line(mistake_github(mistake))
    else:
        _print(checked, streams.err())
    number = sum(len(one.mistakes) for one in checked)
    if number and form != "text":
        streams.err().line(("bad", plural(number, "mistake")))
    return ConfigError.exit_code if number else 0


def _check(file: str, request: Request, streams: Streams) -> Checked:
    try:
        prepared = prepare(Path(file), request, streams.conceal)
        plan = prepared.plan
        # The built-in engines can run any plan, and are not loaded for a check.
        problems = [] if plan.engine.name in BUILT_IN else problems_of(made_engine(plan), plan)
        wrong = ConfigError(placed(problem, prepared.config, plan.engine.name) for problem in problems)
        return Checked(file, wrong.mistakes, plan.notes)
    except ConfigError as error:
        return Checked(file, error.mistakes)
    except UsageError as error:
        return Checked(file, (Mistake("usage", str(error), Mark(file)),))


def _print(checked: list[Checked], console: Console) -> None:
    for one in checked:
        if one.mistakes:
            console.write(render(one.mistakes, console.color, console.secrets) + "\n")
        else:
            console.line(("good", "ok"), f"  {one.file}")
            for note in one.notes:
                console.line(("dim", f"    {note}"))
