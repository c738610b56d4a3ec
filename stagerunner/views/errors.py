"""The error that a call ends with, and mistakes: for people, as JSON, and as GitHub's annotations.

`config.diagnostics` draws mistakes for people.
"""

from __future__ import annotations

from typing import Any

from stagerunner import errors
from stagerunner.config.diagnostics import render
from stagerunner.errors import ConfigError, Mistake, StagerunnerError
from stagerunner.views.console import Console

CODES: dict[type[StagerunnerError], str] = {
    errors.ConfigError: "config",
    errors.UsageError: "usage",
    errors.StageFailed: "stage-failed",
    errors.SetupFailed: "setup-failed",
    errors.WorkerDied: "worker-died",
    errors.RunFailed: "run-failed",
    errors.OutputBusy: "output-busy",
    errors.Stopped: "stopped",
    errors.Interrupted: "interrupted",
    errors.ReaderGone: "reader-gone",
    errors.InternalError: "internal",
}
REPORT = "this is a bug in stagerunner itself; please report it with the text above"


def code_of(error: StagerunnerError) -> str:
    """The word for this kind of error, which can be searched for."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), "failed")


def print_error(error: StagerunnerError, console: Console, *, json: bool = False) -> None:
    """Write the error for people, or as a line of JSON. If the reader of standard output has left, write nothing."""
    if json:
        console.line(console.json(error_json(error)))
    else:
        _print_text(error, console)


def _print_text(error: StagerunnerError, console: Console) -> None:
    match error:
        case errors.ReaderGone():
            pass
        case ConfigError(mistakes=mistakes):
            console.write(render(mistakes, console.color, console.secrets))
        case errors.Interrupted():
            console.line(("warn", "interrupted: "), str(error))
        case _:
            console.line(("bad", f"error[{code_of(error)}]"), ("strong", ": "), str(error))
    match error:
        case errors.InternalError():
            console.line(REPORT)
        case errors.StageFailed(advice=advice) if advice:
            console.line(("dim", advice))


def error_json(error: StagerunnerError) -> dict[str, Any]:
    """The error as plain data; a ConfigError with its mistakes."""
    data: dict[str, Any] = {"event": "error", "code": code_of(error), "exit": error.exit_code, "message": str(error)}
    if isinstance(error, ConfigError):
        data["mistakes"] = [mistake_json(mistake) for mistake in error.mistakes]
    return data


# Mistakes


def mistake_json(mistake: Mistake) -> dict[str, Any]:
    """One mistake as plain data; line and column count from 1."""
    return {
        "code": mistake.code,
        "message": mistake.message,
        "file": mistake.mark.file,
        "line": mistake.mark.line,
        "column": mistake.mark.column,
        "path": mistake.path,
        "fix": mistake.fix,
    }


def mistake_github(mistake: Mistake) -> str:
    """One mistake as a GitHub annotation, which is shown beside the code."""
    mark = mistake.mark
    place = f"file={_property(mark.file)},line={mark.line},col={mark.column},title={_property(mistake.code)}"
    return f"::error {place}::{_data(f'{mistake.message}; {mistake.fix}' if mistake.fix else mistake.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
