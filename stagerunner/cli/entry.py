"""From the program's arguments to its exit code: the front page, and the one place where errors become messages."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import click

from stagerunner import __version__, inherited
from stagerunner.cli import VERBS, load_command
from stagerunner.cli.streams import Streams
from stagerunner.errors import InternalError, Interrupted, RunFailed, StagerunnerError, UsageError
from stagerunner.guard import head, of_a_plugin, one_line, refused, text_of
from stagerunner.inherited import is_refusal, restore_signals

NAME = "stagerunner"
COMPLETE = "_STAGERUNNER_COMPLETE"
"""Set by the shell's completion script."""
BROKEN_PIPE = 141

_EXAMPLES = (
    "stagerunner run configs/word-count.yaml",
    "stagerunner run configs/access-log.yaml --set stages.parse.workers=8",
    "stagerunner check configs/*.yaml",
    "stagerunner stages show anonymize",
)


class Program(click.Group):
    """Commands come from the table `VERBS`; a name that is not in it is looked up in the plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in VERBS:
            return load_command(cmd_name)
        command = plugin_command(cmd_name)
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
        width = max(len(verb.usage) for verb in VERBS.values())
        for section in dict.fromkeys(verb.section for verb in VERBS.values()):
            with formatter.section(section):
                shown = [verb for verb in VERBS.values() if verb.section == section]
                formatter.write_dl([(verb.usage.ljust(width), verb.summary) for verb in shown])
        with formatter.section("Examples"):
            for example in _EXAMPLES:
                formatter.write_text(example)


def _set_color(ctx: click.Context, parameter: click.Parameter, value: str) -> None:
    ctx.ensure_object(Streams).color = value


@click.group(
    cls=Program,
    name=NAME,
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
    """Every command starts with its own module."""


def plugin_command(name: str) -> click.Command:
    """The command that a plugin offers under this name. Raises UsageError if there is none or it can't be imported."""
    # Late: our own commands and the front page need no plugins for this.
    from stagerunner.catalog import Unresolved, load_catalog
    from stagerunner.catalog.importing import import_target
    from stagerunner.cli.guesses import command_meant

    commands = load_catalog().commands
    if name not in commands:
        raise UsageError(f"there is no command '{name}'; {command_meant(name, [*VERBS, *commands])}")
    target = commands[name].target
    try:
        found: Any = import_target(target)
    except Unresolved as why:
        raise UsageError(f"the command '{name}' can't be used: {why}") from None
    if not isinstance(found, click.Command):
        raise UsageError(f"the command '{name}' can't be used: '{target}' isn't a click command")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    arguments: None takes those of this process, which then belongs to the command alone and ends with it.
    """
    streams = Streams()
    try:
        if arguments is None:
            restore_signals()
            streams.own()
            _import_and_freeze(sys.argv[1:])
        code = _invoke(list(sys.argv[1:] if arguments is None else arguments), streams)
    except BaseException as error:
        code = _report(error, streams)
    finally:
        streams.restore()
    return _flush(code, streams)


def _import_and_freeze(arguments: Sequence[str]) -> None:
    """Import the command's modules and exempt them from garbage collection, which at exit takes longer than a check.

    Plugins are imported later, so their objects are still collected and the files that they left open are closed.
    """
    if arguments and arguments[0] in VERBS:
        load_command(arguments[0])
    gc.freeze()


def _invoke(arguments: list[str], streams: Streams) -> int:
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, NAME, COMPLETE, instruction)
    # Not `program.main`: it has exit codes of its own for a broken pipe and for Ctrl-C.
    with program.make_context(NAME, arguments, obj=streams) as context:
        code = program.invoke(context)
    return code if isinstance(code, int) else 0


def _report(error: BaseException, streams: Streams) -> int:
    """Say what ended the call and return its exit code."""
    match error:
        case click.exceptions.Exit(exit_code=code):
            return code
        case click.ClickException():
            streams.err().write(_usage(error))
            return 2
        case BrokenPipeError():
            return BROKEN_PIPE
        case SystemExit() if streams.plugin_command:
            return _exited(error, streams)
    ours = _as_ours(error, streams)
    if streams.verbose and ours is not error:
        import traceback

        streams.err().line("".join(traceback.format_exception(error)).rstrip())
    streams.report(ours)
    return ours.exit_code or 1  # a plugin may have derived an error of its own, with exit code 0


def _as_ours(error: BaseException, streams: Streams) -> StagerunnerError:
    """The error as a StagerunnerError, which has an exit code."""
    match error:
        case StagerunnerError():
            return error
        case KeyboardInterrupt() | click.Abort():
            return Interrupted("stopped by SIGINT", signal.SIGINT)
    if streams.plugin_command:
        return RunFailed(f"the command '{streams.plugin_command}' failed: {one_line(error)}")
    if is_refusal(error):
        return refused(error)
    if not isinstance(error, Exception) or of_a_plugin(error):
        return RunFailed(f"a plugin ended the program: {one_line(error)}")
    return InternalError(head(error))


def _exited(error: SystemExit, streams: Streams) -> int:
    """A plugin's command may call `sys.exit`; an exit code other than 0 is reported."""
    if error.code is None or error.code == 0:
        return 0
    if isinstance(error.code, int):
        streams.err().line(f"the command '{streams.plugin_command}' ended with exit code {error.code}")
        return error.code
    streams.err().line(text_of(error.code))
    return 1


def _usage(error: click.ClickException) -> str:
    """The message for a call that click refused, and where to read more."""
    context, message = getattr(error, "ctx", None), error.format_message()
    if context is None:
        return f"error[usage]: {message}\n"
    # Without arguments, click's message is the help page itself.
    if message == context.get_help():
        return f"{message}\n"
    if isinstance(error, click.NoSuchOption):
        message = _no_option(error.option_name, context)
    return f"error[usage]: {message}\n`{context.command_path} --help` tells more.\n"


def _no_option(name: str, context: click.Context) -> str:
    from stagerunner.cli.guesses import option_meant  # late: only a mistake needs it

    known = [option for parameter in context.command.params for option in parameter.opts]
    return f"there is no option {name}; {option_meant(name, known)}".removesuffix("; ")


def _flush(code: int, streams: Streams) -> int:
    """Flush standard output now: at interpreter exit, a reader that has left would cause a traceback."""
    try:
        streams.flush()
    except (OSError, ValueError) as error:
        if streams.owned:
            os.dup2(os.open(os.devnull, os.O_WRONLY), inherited.output)
        if code or isinstance(error, ValueError):
            return code
        return _report(error, streams)
    return code
