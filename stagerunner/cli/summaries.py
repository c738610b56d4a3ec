"""`--summary FILE|-`: the summary of a run as JSON."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec import Struct

from stagerunner.cli.streams import Streams
from stagerunner.errors import ReaderGone, RunFailed, StagerunnerError, UsageError
from stagerunner.events import Summary
from stagerunner.inherited import here
from stagerunner.plan import Plan
from stagerunner.plan.outputs import used_by

STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Names of standard output. It can't be opened by name: descriptor 1 takes what plugins print (see `Streams.own`)."""


class SummaryFile(Struct, frozen=True):
    """Where the summary goes: a path, "-" for standard output, or None."""

    path: str | None

    @classmethod
    def of(cls, path: str | None, plan: Plan) -> SummaryFile:
        """Check the place before anything is started. Raises UsageError if nothing can be written there."""
        path = "-" if path in STDOUT else path
        if path == "-" and sys.__stdout__ is None:
            raise UsageError("standard output is closed; give --summary a file")
        if path == "-" and to_stdout(plan):
            raise UsageError("--summary - and the results can't both go to standard output; give --summary a file")
        if path in (None, "-"):
            return cls(path)
        place = here() / path
        _refuse_unwritable(place)
        if used_by(plan, place):
            raise UsageError(f"the summary would overwrite {path}, a file of the run's; name another file")
        return cls(str(place))

    def write(self, summary: Summary, streams: Streams, failed: StagerunnerError | None) -> None:
        """Write the summary. Raises RunFailed or Stopped if that fails; after a failed run it only warns."""
        if self.path is None:
            return
        line = streams.err().json(summary.as_json())
        try:
            if self.path == "-":
                streams.out().line(line)
            else:
                Path(self.path).write_text(line + "\n")
        except BrokenPipeError:
            if failed is None:
                raise ReaderGone("the reader of standard output has left") from None
        except (OSError, StagerunnerError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            message = f"the summary can't be written to {self.path}: {why}"
            if failed is None:
                raise RunFailed(f"{message}; the run itself finished") from error
            streams.err().line(("warn", message))


def to_stdout(plan: Plan) -> bool:
    """Whether the results go to standard output."""
    return any(sink.part.name == "stdout" or str(sink.options.get("path")) == "-" for sink in plan.sinks)


def _refuse_unwritable(path: Path) -> None:
    target = path if path.exists() else path.parent
    if path.is_dir() or not target.exists() or not os.access(target, os.W_OK):
        raise UsageError(f"the summary can't be written to {path}")
