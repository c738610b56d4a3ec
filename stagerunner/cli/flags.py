"""Flags that several commands share, and the command that shows its flags under headings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stagerunner.cli.streams import Streams
from stagerunner.plan.preparing import Request

F = TypeVar("F", bound=Callable[..., Any])


class Flag(click.Option):
    """An option that stands under a heading of the help page."""

    def __init__(self, *names: Any, heading: str = "Options", **settings: Any) -> None:
        super().__init__(*names, **settings)
        self.heading = heading


class FileName(click.types.StringParamType):
    """A text that is mostly the name of a file: the shell completes it as one."""

    name = "file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem  # imported by whoever asks for it

        return [CompletionItem(incomplete, type="file")]


FILE = FileName()


class Apart(click.Command):
    """A command of ours: while it runs, what plugins print is not data."""

    def invoke(self, ctx: click.Context) -> Any:
        with ctx.ensure_object(Streams).aside():
            return super().invoke(ctx)


class Group(Apart, click.Group):
    """The same with commands of its own."""


class Command(Apart):
    """A command whose help page groups its options by heading."""

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
    """Several decorators as one; the first stands first in the help."""

    def decorate(function: F) -> F:
        for one in reversed(flags):
            function = one(function)
        return function

    return decorate


def _kept(field: str, value_of: Callable[[Any], Any] = lambda value: value) -> Callable[..., None]:
    """A callback that leaves a flag's value in the streams, where it isn't the default."""

    def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value and ctx.get_parameter_source(str(parameter.name)) is not click.core.ParameterSource.DEFAULT:
            setattr(ctx.ensure_object(Streams), field, value_of(value))

    return keep


SEEN = "What you see (always on standard error)"
HOW = "How it runs"
CHANGED = "Changing the chain for this call"

color = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    expose_value=False,
    callback=_kept("color"),
    help="auto: on a terminal, unless NO_COLOR is set.",
    cls=Flag,
    heading=SEEN,
)
verbose = flag(SEEN, "-v", "--verbose", is_flag=True, expose_value=False, callback=_kept("verbose"), help="Say more.")
log_format = flag(
    SEEN,
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    expose_value=False,
    callback=_kept("json", lambda value: value == "json"),
    help="json: each line is an object.",
)
plugins = flag(
    CHANGED,
    "-p",
    "plugins",
    multiple=True,
    metavar="PLUGIN",
    help="Load a plugin: a package, ./file.py, or no:NAME to keep one out.  [repeatable]",
)
changes = together(
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
talk = together(verbose, color)
seen = together(
    flag(SEEN, "--progress", metavar="WHAT", help="auto, live, plain, json or none; auto: live on a terminal."),
    flag(SEEN, "--summary", metavar="FILE", type=FILE, help="Write the summary as JSON; - is standard output."),
    flag(SEEN, "-q", "--quiet", is_flag=True, help="No progress, no closing summary."),
    verbose,
    log_format,
    color,
)
"""What a run shows of itself."""
as_json = flag("Options", "--json", "json", is_flag=True, help="Print JSON.")


def way(*, resume: str, allow: str) -> Callable[[F], F]:
    """How a chain is run, in the words of the command."""
    return together(
        flag(HOW, "--engine", metavar="NAME", help="process, or inline: all in this process, so breakpoint() works."),
        flag(HOW, "--resume", is_flag=True, help=resume),
        flag(HOW, "--force-resume", is_flag=True, help="Go on even if the chain was changed since."),
        flag(HOW, "--allow-dead-letters", is_flag=True, help=allow),
    )


def request_of(given: dict[str, Any]) -> Request:
    """The request that the flags of a command make; flags that are none of its business are passed over."""
    return Request(**{name: value for name, value in given.items() if name in Request.__struct_fields__})
