"""The program: its front page, and the way from a verb to its command."""

from __future__ import annotations

from collections.abc import Callable

import click

from stagerunner import __version__
from stagerunner.cli import OFFERED, VERBS, loaded
from stagerunner.cli.streams import Streams

_EXAMPLES = (
    "stagerunner run configs/word-count.yaml",
    "stagerunner run configs/access-log.yaml --set stages.parse.workers=8",
    "stagerunner check configs/*.yaml",
    "stagerunner stages show anonymize",
)


class Program(click.Group):
    """Commands come from the table, or else from plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in VERBS:
            found: click.Command = loaded(VERBS[cmd_name].target)
            return found
        offered: Callable[[str], click.Command] = loaded(OFFERED)
        command = offered(cmd_name)
        ctx.ensure_object(Streams).lend(cmd_name)
        return command

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] COMMAND [ARGS]…")

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_text(self.help or "")
        formatter.write_paragraph()
        self.format_usage(ctx, formatter)
        self.format_commands(ctx, formatter)
        self.format_options(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("`stagerunner COMMAND --help` tells more.")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = (parameter.get_help_record(ctx) for parameter in self.get_params(ctx))
        with formatter.section("Options"):
            formatter.write_dl([record for record in records if record is not None])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        wide = max(len(verb.usage) for verb in VERBS.values())
        for section in dict.fromkeys(verb.section for verb in VERBS.values()):
            with formatter.section(section):
                shown = [verb for verb in VERBS.values() if verb.section == section]
                formatter.write_dl([(verb.usage.ljust(wide), verb.summary) for verb in shown])
        with formatter.section("Examples"):
            for example in _EXAMPLES:
                formatter.write_text(example)


def _set_color(ctx: click.Context, parameter: click.Parameter, value: str) -> None:
    ctx.ensure_object(Streams).color = value


@click.group(
    cls=Program,
    name="stagerunner",
    help="Run a chain of worker processes described by a YAML file.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, "-V", "--version", message="stagerunner %(version)s", help="Show the version.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    expose_value=False,
    callback=_set_color,
    help="Colours: on a terminal, always, or never.",
)
def program() -> None:
    """Nothing to do before the command itself."""
