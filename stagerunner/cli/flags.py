"""Flags that several commands share, and the command that shows its flags under headings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stagerunner.cli.streams import Streams
from stagerunner.plan.preparing import Request

F = TypeVar("F", bound=Callable[..., Any])


class Flag(click.Option):
    """An option under a heading of the help page."""

    def __init__(self, *names: Any, heading: str = "Options", **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.heading = heading


class FileName(click.types.StringParamType):
    """A text that is usually a file name: the shell completes it as one."""

    name = "file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem  # only shell completion needs it

        return [CompletionItem(incomplete, type="file")]


FILE = FileName()


class WholeNumber(click.IntRange):
    """`click.IntRange`, under the words that a message uses for it."""

    name = "whole number"


class Group(click.Group):
    """A command with subcommands. What it prints without one is its callback's own to keep apart from plugins' output:
    around a subcommand, its help page would go to standard error."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            called = f"{ctx.command_path} {self.subcommand_metavar}"
            raise click.UsageError(f"'{args[0]}' is none of its commands; write `{called}`", ctx)
        return super().resolve_command(ctx, args)


class Command(click.Command):
    """One of our own commands: while it runs, what plugins print goes to standard error. Its help page groups its
    options by heading."""

    def invoke(self, ctx: click.Context) -> Any:
        with ctx.ensure_object(Streams).data_only():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(parameter, "heading", "Options"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def flag(heading: str, *names: str, **settings: Any) -> Callable[[F], F]:
    """`click.option` under a heading."""
    return click.option(*names, cls=Flag, heading=heading, **settings)


def together(*flags: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several decorators as one; the help page lists their flags in this order."""

    def decorate(function: F) -> F:
        for one in reversed(flags):
            function = one(function)
        return function

    return decorate


def _store(field: str, value_of: Callable[[Any], Any] = lambda value: value) -> Callable[..., None]:
    """A callback that stores a flag's value in the Streams, unless it is the default."""

    def store(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value and ctx.get_parameter_source(str(parameter.name)) is not click.core.ParameterSource.DEFAULT:
            setattr(ctx.ensure_object(Streams), field, value_of(value))

    return store


SHOWN = "What you see (always on standard error)"
HOW = "How it runs"
CHANGED = "Changing the chain for this call"

color = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    expose_value=False,
    callback=_store("color"),
    help="auto: on a terminal, unless NO_COLOR is set.",
    cls=Flag,
    heading=SHOWN,
)
verbose = flag(SHOWN, "-v", "--verbose", is_flag=True, expose_value=False, callback=_store("verbose"), help="Say more.")
log_format = flag(
    SHOWN,
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    expose_value=False,
    callback=_store("json", lambda value: value == "json"),
    help="json: each line is an object.",
)
pdb = flag(HOW, "--pdb", is_flag=True, help="In this process, with a debugger where a stage raises.")
plugins = flag(
    CHANGED,
    "-p",
    "plugins",
    multiple=True,
    metavar="PLUGIN",
    help="Load a plugin: a package, ./file.py, or no:NAME to keep one out.  [repeatable]",
)
change_flags = together(
    flag(
        CHANGED,
        "--var",
        "vars",
        multiple=True,
        metavar="NAME=VALUE",
        help="Give a variable of the chain a value.  [repeatable]",
    ),
    flag(
        CHANGED,
        "--set",
        "sets",
        multiple=True,
        metavar="PATH=VALUE",
        help="Set any value, as in stages.parse.workers=8.  [repeatable]",
    ),
    plugins,
)
quiet = flag(SHOWN, "-q", "--quiet", is_flag=True, help="No progress, no closing summary.")
output_flags = together(verbose, color)
run_output_flags = together(
    flag(SHOWN, "--progress", metavar="WHAT", help="auto, live, plain, json or none; auto: live on a terminal."),
    flag(SHOWN, "--summary", metavar="FILE", type=FILE, help="Write the summary as JSON; - is standard output."),
    quiet,
    verbose,
    log_format,
    color,
)
"""The flags for what a run shows."""
as_json = flag("Options", "--json", "json", is_flag=True, help="Print JSON.")


def execution_flags(*, resume: str, allow: str) -> Callable[[F], F]:
    """The flags for how a chain is run. resume, allow: their help, in the words of the command."""
    return together(
        flag(
            HOW,
            "--engine",
            metavar="NAME",
            help="process; inline: all in this process, so breakpoint() works; threads; or a plugin's.",
        ),
        flag(HOW, "--resume", is_flag=True, help=resume),
        flag(HOW, "--force-resume", is_flag=True, help="Go on even if the chain was changed since."),
        flag(HOW, "--allow-dead-letters", is_flag=True, help=allow),
    )


def request_of(given: dict[str, Any]) -> Request:
    """The request that a command's flags make; other flags are ignored."""
    return Request(**{name: value for name, value in given.items() if name in Request.__struct_fields__})
