"""From the program's arguments to its exit code, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

import click

from stagerunner import inherited
from stagerunner.cli import TROUBLE, VERBS, loaded
from stagerunner.cli.program import program
from stagerunner.cli.streams import Streams
from stagerunner.errors import InternalError, Interrupted, RunFailed, StagerunnerError
from stagerunner.guard import head, of_a_plugin, one_line, refused, text_of
from stagerunner.inherited import hear_signals, is_refusal

NAME = "stagerunner"
COMPLETE = "_STAGERUNNER_COMPLETE"
"""Set by the shell's completion script."""
BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. `arguments`: None for those of this process, which ends with it."""
    streams = Streams()
    try:
        if arguments is None:
            hear_signals()
            streams.own()
            _settle(sys.argv[1:])
        code = _invoke(list(sys.argv[1:] if arguments is None else arguments), streams)
    except BaseException as error:
        code = _told(error, streams)
    finally:
        streams.reveal()
    return _flushed(code, streams)


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
        case click.ClickException():
            streams.err().write(_usage(error))
            return 2
        case BrokenPipeError():
            return BROKEN_PIPE
        case SystemExit() if streams.offered:
            return _exited(error, streams)
    ours = _as_ours(error, streams)
    if streams.verbose and ours is not error:
        import traceback

        streams.err().line("".join(traceback.format_exception(error)).rstrip())
    _tell(ours, streams)
    return ours.exit_code or 1  # a plugin may have made an error of its own of ours


def _as_ours(error: BaseException, streams: Streams) -> StagerunnerError:
    """Any error as one of ours: the root of what a call may end with."""
    match error:
        case StagerunnerError():
            return error
        case KeyboardInterrupt() | click.Abort():
            return Interrupted("stopped by SIGINT", signal.SIGINT)
    if streams.offered:
        return RunFailed(f"the command '{streams.offered}' failed: {one_line(error)}")
    if is_refusal(error):
        return refused(error)
    if not isinstance(error, Exception) or of_a_plugin(error):
        return RunFailed(f"what was loaded has ended the program: {one_line(error)}")
    return InternalError(head(error))


def _exited(error: SystemExit, streams: Streams) -> int:
    """A plugin's command ends as it likes, if not in silence."""
    if error.code is None or error.code == 0:
        return 0
    if isinstance(error.code, int):
        streams.err().line(f"the command '{streams.offered}' ended with exit code {error.code}")
        return error.code
    streams.err().line(text_of(error.code))
    return 1


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


def _flushed(code: int, streams: Streams) -> int:
    """Write out what is left, now: at the interpreter's exit a reader that has left would be an ugly message."""
    try:
        streams.flush()
    except (OSError, ValueError) as error:
        if streams.owned:
            os.dup2(os.open(os.devnull, os.O_WRONLY), inherited.output)
        if code or isinstance(error, ValueError):
            return code
        return _told(error, streams)
    return code
