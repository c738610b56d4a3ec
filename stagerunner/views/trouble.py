"""The error a call ends with, told once."""

from __future__ import annotations

from typing import Any

from stagerunner import errors
from stagerunner.config.diagnostics import render
from stagerunner.errors import ConfigError, StagerunnerError
from stagerunner.views.console import Console
from stagerunner.views.mistakes import as_json

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
REPORT = "this is a fault of stagerunner itself; please report it with the text above"


def code_of(error: StagerunnerError) -> str:
    """The word by which an error can be searched for."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), "failed")


def tell(error: StagerunnerError, console: Console, *, json: bool = False) -> None:
    """Say what went wrong, for people or as a line of JSON. A reader that has left is told nothing."""
    if json:
        console.line(console.json(as_data(error)))
    else:
        _tell_people(error, console)


def _tell_people(error: StagerunnerError, console: Console) -> None:
    match error:
        case errors.ReaderGone():
            pass
        case ConfigError(mistakes=mistakes):
            console.write(render(mistakes, console.color, console.secrets))
        case errors.Interrupted():
            console.line(("warn", "interrupted: "), str(error))
        case _:
            console.line(("bad", f"error[{code_of(error)}]"), ("strong", ": "), str(error))
    if isinstance(error, errors.InternalError):
        console.line(REPORT)


def as_data(error: StagerunnerError) -> dict[str, Any]:
    """The same for programs."""
    data: dict[str, Any] = {"event": "error", "code": code_of(error), "exit": error.exit_code, "message": str(error)}
    if isinstance(error, ConfigError):
        data["mistakes"] = [as_json(mistake) for mistake in error.mistakes]
    return data
