"""From the program's arguments to its exit code, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

import click

from stagerunner.cli import TROUBLE, VERBS, loaded
from stagerunner.cli.program import program
from stagerunner.cli.streams import Streams
from stagerunner.errors import InternalError, StagerunnerError

NAME = "stagerunner"
COMPLETE = "_STAGERUNNER_COMPLETE"
"""Set by the shell's completion script."""
BROKEN_PIPE = 141
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `arguments`: None for those of this process, which ends with it."""
    streams = Streams()
    try:
        if arguments is None:
            _settle(sys.argv[1:])
        code = _invoke(list(sys.argv[1:] if arguments is None else arguments), streams)
    except BaseException as error:
        code = _told(error, streams)
    finally:
        streams.reveal()
    return _flushed(code)


def _settle(arguments: Sequence[str]) -> None:
    """Import what the command needs, and let nobody search it for garbage when the process ends: that would take longer
    than a small check does. What plugins have left open is found, and closed: they are not here yet."""
    if arguments and arguments[0] in VERBS:
        loaded(VERBS[arguments[0]].target)
    gc.freeze()


def _invoke(arguments: list[str], streams: Streams) -> int:
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, NAME, COMPLETE, instruction)
    # Not `program.main`: it has exit codes of its own for a broken pipe and for Ctrl-C.
    with program.make_context(NAME, arguments, obj=streams) as context:
        code = program.invoke(context)
    return code if isinstance(code, int) else 0


def _told(error: BaseException, streams: Streams) -> int:
    match error:
        case click.exceptions.Exit(exit_code=code):
            return code
        case StagerunnerError():
            _tell(error, streams)
            return error.exit_code
        case click.ClickException():
            streams.err().write(_usage(error))
            return 2
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        case BrokenPipeError():
            return BROKEN_PIPE
        case SystemExit():
            return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    if streams.verbose:
        import traceback

        streams.err().line("".join(traceback.format_exception(error)).rstrip())
    _tell(InternalError(f"{type(error).__name__}: {error}"), streams)
    return InternalError.exit_code


def _tell(error: StagerunnerError, streams: Streams) -> None:
    loaded(TROUBLE)(error, streams.err(), json=streams.json)


def _usage(error: click.ClickException) -> str:
    """What is wrong with the call, and where to read more."""
    context, message = getattr(error, "ctx", None), error.format_message()
    if context is None:
        return f"error[usage]: {message}\n"
    # Without any argument click's complaint is the help page itself.
    if message == context.get_help():
        return f"{message}\n"
    return f"error[usage]: {message}\n`{context.command_path} --help` tells more.\n"


def _flushed(code: int) -> int:
    """Write out what is left, now: at the interpreter's exit a reader that has left would be an ugly message."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        if sys.stdout is sys.__stdout__:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return code or BROKEN_PIPE
    return code
